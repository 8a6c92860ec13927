#include "addon/steps/in_root_init.h"

#include <climits>
#include <sys/stat.h>

#include "addon/base/sys.h"

namespace tsrun::in_root {
namespace {

/// As the kernel's MAXSYMLINKS.
constexpr int kMaxLinks = 40;
/// openat2 gives EAGAIN when a rename or mount anywhere came between it and a `..`: a hostile process can do that
/// often, not for ever.
constexpr int kMaxTries = 128;
constexpr mode_t kParentMode = 0755;

/// Modes of the plan are meant as they are, whatever umask tsrun's caller had.
class NoUmask {
public:
  NoUmask() : before_(umask(0)) {}
  ~NoUmask() { umask(before_); }
  NoUmask(const NoUmask&) = delete;
  NoUmask& operator=(const NoUmask&) = delete;

private:
  mode_t before_;
};

/// A path that is being worked on: links are replaced by what they say.
class Path {
public:
  Status Set(const char* text) {
    const size_t length = strlen(text);
    if (length >= sizeof text_) return Status::Fail(Op::kLimit, ENAMETOOLONG, text);
    memcpy(text_, text, length + 1);
    return Status::Ok();
  }

  /// Replaces the component from `start` to `end` by the link's text: from the root if that is absolute.
  Status Replace(size_t start, size_t end, const char* link, size_t link_size) {
    char changed[PATH_MAX];
    const size_t kept = link[0] == '/' ? 0 : start;
    const size_t rest = strlen(text_ + end);
    if (kept + link_size + rest >= sizeof changed) return Status::Fail(Op::kLimit, ENAMETOOLONG, text_);
    memcpy(changed, text_, kept);
    memcpy(changed + kept, link, link_size);
    memcpy(changed + kept + link_size, text_ + end, rest + 1);
    memcpy(text_, changed, kept + link_size + rest + 1);
    return Status::Ok();
  }

  [[nodiscard]] char* text() { return text_; }

private:
  char text_[PATH_MAX];
};

/// What became of one attempt to make a path.
enum class Walk { kDone, kAgain };

Status MakeLast(int parent, const char* name, Kind kind, mode_t mode) {
  const NoUmask no_umask;
  if (kind == Kind::kDirectory) {
    if (mkdirat(parent, name, mode) != 0) return Status::Fail(Op::kMkdirat, errno, name);
    return Status::Ok();
  }
  UniqueFd file(openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, mode));
  if (!file.valid()) return Status::Fail(Op::kOpen, errno, name);
  return Status::Ok();
}

/// Goes along the path, making what is missing. A link that points at nothing is written into the path, which then has
/// to be walked again.
Status MakeAlong(int root, Path& path, Kind kind, mode_t mode, Links links, UniqueFd& out, Walk& walk) {
  char* text = path.text();
  UniqueFd parent;
  int at = root;
  for (size_t start = 0;;) {
    while (text[start] == '/')
      start++;
    size_t end = start;
    while (text[end] != '\0' && text[end] != '/')
      end++;
    size_t next = end;
    while (text[next] == '/')
      next++;
    const bool last = text[next] == '\0';
    const Kind wanted = last ? kind : Kind::kDirectory;

    const char after = text[end];
    text[end] = '\0';
    UniqueFd found;
    Status status = Open(root, text, wanted == Kind::kDirectory ? O_PATH | O_DIRECTORY | O_CLOEXEC : O_PATH | O_CLOEXEC,
                         links, found);
    if (!status.ok() && status.err == ENOENT) {
      status = MakeLast(at, text + start, wanted, last ? mode : kParentMode);
      if (status.ok()) {
        found.reset(openat(at, text + start, O_PATH | O_NOFOLLOW | O_CLOEXEC));
        if (!found.valid()) return Status::Fail(Op::kOpen, errno, text);
      } else if (status.err == EEXIST) {
        char link[PATH_MAX];
        const ssize_t size = readlinkat(at, text + start, link, sizeof link);
        const int err = errno;
        text[end] = after;
        walk = Walk::kAgain;
        // EINVAL: no link, so somebody has made it just now. ENOENT: or removed it.
        if (size < 0 && (err == EINVAL || err == ENOENT)) return Status::Ok();
        if (size < 0) return Status::Fail(Op::kReadlinkat, err, text);
        if (links == Links::kRefuse) return Status::Fail(Op::kOpenat2, ELOOP, text);
        return path.Replace(start, end, link, static_cast<size_t>(size));
      }
    }
    if (!status.ok()) return Status::Fail(status.op, status.err, text);
    text[end] = after;
    if (last) {
      out = static_cast<UniqueFd&&>(found);
      walk = Walk::kDone;
      return Status::Ok();
    }
    parent = static_cast<UniqueFd&&>(found);
    at = parent.get();
    start = next;
  }
}

} // namespace

Status Open(int root, const char* path, uint64_t flags, Links links, UniqueFd& out) {
  const uint64_t resolve =
      RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (links == Links::kRefuse ? RESOLVE_NO_SYMLINKS : 0);
  const char* name = path[0] == '\0' ? "." : path;
  int fd = -1;
  for (int tries = 0; tries < kMaxTries; tries++) {
    fd = sys::Openat2(root, name, flags | O_CLOEXEC, 0, resolve);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  if (fd < 0) return Status::Fail(Op::kOpenat2, errno, path);
  out.reset(fd);
  return Status::Ok();
}

Status OpenOrMake(int root, const char* path, Kind kind, mode_t mode, Links links, UniqueFd& out, bool& existed) {
  Status status = Open(root, path, O_PATH, links, out);
  existed = status.ok();
  if (status.ok() || status.err != ENOENT) return status;
  Path work;
  TSRUN_TRY(work.Set(path));
  for (int turns = 0; turns < kMaxLinks; turns++) {
    Walk walk = Walk::kAgain;
    TSRUN_TRY(MakeAlong(root, work, kind, mode, links, out, walk));
    if (walk == Walk::kDone) return Status::Ok();
  }
  return Status::Fail(Op::kOpenat2, ELOOP, path);
}

Status OpenParent(int root, const char* path, UniqueFd& parent, const char*& name) {
  const char* slash = strrchr(path, '/');
  name = slash == nullptr ? path : slash + 1;
  if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
    return Status::Fail(Op::kVerify, EINVAL, path, 0, "no name for a file");
  char directory[PATH_MAX];
  const size_t length = slash == nullptr ? 0 : static_cast<size_t>(slash - path);
  if (length >= sizeof directory) return Status::Fail(Op::kLimit, ENAMETOOLONG, path);
  memcpy(directory, path, length);
  directory[length] = '\0';
  bool existed;
  TSRUN_TRY(OpenOrMake(root, directory, Kind::kDirectory, kParentMode, Links::kFollow, parent, existed));
  struct stat st;
  if (fstat(parent.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, directory);
  if (!S_ISDIR(st.st_mode)) return Status::Fail(Op::kVerify, ENOTDIR, directory);
  return Status::Ok();
}

} // namespace tsrun::in_root
