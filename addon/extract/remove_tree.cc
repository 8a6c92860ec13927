#include "addon/extract/remove_tree.h"

#include <climits>
#include <dirent.h>
#include <memory>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include "addon/base/sys.h"

namespace tsrun::extract {
namespace {

/// Of RemoveExcept, which holds a descriptor a level. An archive's names are not nearly as deep.
constexpr int kMaxDepth = 512;

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

bool IsDots(const char* name) {
  return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/// A directory that we may list and change, whatever its mode was: it goes anyway.
Status OpenToEmpty(int parent, const char* name, UniqueFd& out) {
  const auto open = [&] { return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); };
  out.reset(open());
  if (!out.valid() && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0) out.reset(open());
  if (!out.valid()) return Status::Fail(Op::kOpen, errno, name);
  return Status::Ok();
}

/// The names in a directory; a copy, so that no descriptor stays open for it.
Status List(int directory, const char* name, std::vector<std::string>& out) {
  UniqueFd own(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own.valid()) return Status::Fail(Op::kOpen, errno, name);
  Directory stream(fdopendir(own.get()));
  if (!stream) return Status::Fail(Op::kOpen, errno, name);
  (void)own.release(); // the stream's now
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(stream.get());
    if (entry == nullptr) break;
    if (!IsDots(entry->d_name)) out.emplace_back(entry->d_name);
  }
  if (errno != 0) return Status::Fail(Op::kRead, errno, name);
  return Status::Ok();
}

/// Unlinks a name; `directory` says that it is one and still there.
Status Unlink(int parent, const char* name, bool& directory) {
  directory = false;
  if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return Status::Ok();
  // Of a directory Linux says EISDIR; EACCES: our own directory is not writable.
  if (errno == EACCES && fchmod(parent, 0700) == 0 && unlinkat(parent, name, 0) == 0) return Status::Ok();
  if (errno != EISDIR) return Status::Fail(Op::kUnlinkat, errno, name);
  directory = true;
  return Status::Ok();
}

struct Level {
  std::string name;
  std::vector<std::string> left;
  dev_t device;
  ino_t inode;
};

Status Identify(int fd, Level& level) {
  struct stat st;
  if (fstat(fd, &st) != 0) return Status::Fail(Op::kFstat, errno, level.name.c_str());
  level.device = st.st_dev;
  level.inode = st.st_ino;
  return Status::Ok();
}

} // namespace

Status RemoveTree(int parent, const char* name) {
  bool directory;
  TSRUN_TRY(Unlink(parent, name, directory));
  if (!directory) return Status::Ok();
  // One descriptor however deep the tree is: up again goes through "..", which must be where we came from.
  std::vector<Level> levels;
  UniqueFd at;
  const auto enter = [&](int from, const char* child) -> Status {
    Level level{.name = child, .left = {}, .device = 0, .inode = 0};
    UniqueFd down;
    TSRUN_TRY(OpenToEmpty(from, child, down));
    TSRUN_TRY(List(down.get(), child, level.left));
    TSRUN_TRY(Identify(down.get(), level));
    levels.push_back(std::move(level));
    at = std::move(down);
    return Status::Ok();
  };
  TSRUN_TRY(enter(parent, name));
  while (!levels.empty()) {
    Level& level = levels.back();
    if (!level.left.empty()) {
      const std::string child = std::move(level.left.back());
      level.left.pop_back();
      TSRUN_TRY(Unlink(at.get(), child.c_str(), directory));
      if (directory) TSRUN_TRY(enter(at.get(), child.c_str()));
      continue;
    }
    const std::string gone = std::move(level.name);
    levels.pop_back();
    UniqueFd up;
    if (!levels.empty()) {
      up.reset(openat(at.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!up.valid()) return Status::Fail(Op::kOpen, errno, "..");
      Level found{.name = gone, .left = {}, .device = 0, .inode = 0};
      TSRUN_TRY(Identify(up.get(), found));
      if (found.device != levels.back().device || found.inode != levels.back().inode)
        return Status::Fail(Op::kVerify, EXDEV, gone.c_str(), 0, "moved while it was being removed");
    }
    if (unlinkat(up.valid() ? up.get() : parent, gone.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
      return Status::Fail(Op::kRmdir, errno, gone.c_str());
    at = std::move(up);
  }
  return Status::Ok();
}

namespace {

Status RemoveExceptAt(int parent, const char* name, const Inodes& kept, int depth);

Status RemoveInside(int directory, const char* name, const Inodes& kept, int depth) {
  if (depth > kMaxDepth) return Status::Fail(Op::kLimit, ELOOP, name, depth, "directories nested too deep to remove");
  std::vector<std::string> children;
  TSRUN_TRY(List(directory, name, children));
  for (const std::string& child : children)
    TSRUN_TRY(RemoveExceptAt(directory, child.c_str(), kept, depth));
  return Status::Ok();
}

Status RemoveExceptAt(int parent, const char* name, const Inodes& kept, int depth) {
  struct stat st;
  if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? Status::Ok() : Status::Fail(Op::kFstat, errno, name);
  const bool keep = kept.contains(st.st_ino);
  if (!S_ISDIR(st.st_mode)) {
    if (!keep && unlinkat(parent, name, 0) != 0) return Status::Fail(Op::kUnlinkat, errno, name);
    return Status::Ok();
  }
  UniqueFd inside;
  TSRUN_TRY(OpenToEmpty(parent, name, inside));
  TSRUN_TRY(RemoveInside(inside.get(), name, kept, depth + 1));
  // Not empty: something in it is kept.
  if (!keep && unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOTEMPTY)
    return Status::Fail(Op::kRmdir, errno, name);
  return Status::Ok();
}

} // namespace

Status RemoveExcept(int parent, const char* name, const Inodes& kept) {
  return RemoveExceptAt(parent, name, kept, 0);
}

Status RemoveInsideExcept(int directory, const Inodes& kept) {
  return RemoveInside(directory, "", kept, 0);
}

} // namespace tsrun::extract
