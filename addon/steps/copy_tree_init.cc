#include "addon/steps/copy_tree_init.h"

#include <climits>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "addon/base/sys.h"

namespace tsrun {
namespace {

/// Directories below each other; also bounds the stack, a frame of CopyEntries each.
constexpr int kMaxDepth = 64;
constexpr size_t kEntryBuffer = 2048;
constexpr size_t kSendBytes = 1 << 20;

/// As getdents64(2) writes it.
struct DirectoryEntry {
  uint64_t inode;
  int64_t offset;
  uint16_t bytes;
  uint8_t type;
  char name[];
};

Status CopyEntries(int from, int to, int depth);

/// Owner first: chown takes the set-id bits away that chmod gives.
Status CopyOwnerAndTimes(int dir, const char* name, const struct stat& st) {
  if (fchownat(dir, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
    return Status::Fail(Op::kFchown, errno, name);
  if (!S_ISLNK(st.st_mode) && fchmodat(dir, name, st.st_mode & 07777, 0) != 0)
    return Status::Fail(Op::kFchmod, errno, name);
  const timespec times[2] = {st.st_atim, st.st_mtim};
  if (utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) != 0) return Status::Fail(Op::kUtimensat, errno, name);
  return Status::Ok();
}

Status CopyFile(int from, int to, const char* name) {
  UniqueFd in(openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!in.valid()) return Status::Fail(Op::kOpen, errno, name);
  UniqueFd out(openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!out.valid()) return Status::Fail(Op::kOpen, errno, name);
  for (;;) {
    const ssize_t sent = sys::Retry([&] { return sendfile(out.get(), in.get(), nullptr, kSendBytes); });
    if (sent < 0) return Status::Fail(Op::kWrite, errno, name);
    if (sent == 0) return Status::Ok();
  }
}

Status CopyLink(int from, int to, const char* name) {
  char text[PATH_MAX];
  const ssize_t size = readlinkat(from, name, text, sizeof text - 1);
  if (size < 0) return Status::Fail(Op::kReadlinkat, errno, name);
  text[size] = '\0';
  if (symlinkat(text, to, name) != 0) return Status::Fail(Op::kSymlinkat, errno, name);
  return Status::Ok();
}

Status CopyDirectory(int from, int to, const char* name, int depth) {
  if (mkdirat(to, name, 0700) != 0) return Status::Fail(Op::kMkdirat, errno, name);
  UniqueFd in(openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!in.valid()) return Status::Fail(Op::kOpen, errno, name);
  UniqueFd out(openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!out.valid()) return Status::Fail(Op::kOpen, errno, name);
  return CopyEntries(in.get(), out.get(), depth + 1);
}

Status CopyEntry(int from, int to, const char* name, int depth) {
  struct stat st;
  if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return Status::Fail(Op::kFstat, errno, name);
  if (S_ISDIR(st.st_mode))
    TSRUN_TRY(CopyDirectory(from, to, name, depth));
  else if (S_ISREG(st.st_mode))
    TSRUN_TRY(CopyFile(from, to, name));
  else if (S_ISLNK(st.st_mode))
    TSRUN_TRY(CopyLink(from, to, name));
  else if (!S_ISFIFO(st.st_mode))
    return Status::Ok();
  else if (mknodat(to, name, S_IFIFO | 0600, 0) != 0)
    return Status::Fail(Op::kMknodat, errno, name);
  return CopyOwnerAndTimes(to, name, st);
}

Status CopyEntries(int from, int to, int depth) {
  if (depth > kMaxDepth) return Status::Fail(Op::kLimit, ELOOP, "", depth, "directories nested too deep to copy");
  alignas(DirectoryEntry) char buffer[kEntryBuffer];
  for (;;) {
    const long size = syscall(SYS_getdents64, from, buffer, sizeof buffer);
    if (size < 0) return Status::Fail(Op::kRead, errno, "directory");
    if (size == 0) return Status::Ok();
    for (long at = 0; at < size;) {
      // The kernel aligns every entry to 8 bytes and fills `bytes` with its whole length.
      const auto* entry = reinterpret_cast<const DirectoryEntry*>(buffer + at);
      at += entry->bytes;
      if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0) continue;
      TSRUN_TRY(CopyEntry(from, to, entry->name, depth));
    }
  }
}

} // namespace

Status CopyTree(int from, int to) {
  UniqueFd in(openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!in.valid()) return Status::Fail(Op::kOpen, errno, "source of the copy");
  UniqueFd out(openat(to, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!out.valid()) return Status::Fail(Op::kOpen, errno, "target of the copy");
  return CopyEntries(in.get(), out.get(), 0);
}

} // namespace tsrun
