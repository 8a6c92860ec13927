#include <climits>
#include <sys/mount.h>
#include <sys/stat.h>

#include "addon/steps/mount_tree_init.h"
#include "addon/steps/procfs_init.h"

namespace tsrun {
namespace {

Status OpenRoot(const abi::Str& path, UniqueFd& out) {
  out.reset(open(path.data, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!out.valid()) return Status::Fail(Op::kOpen, errno, path.data);
  return Status::Ok();
}

/// Stops propagation out of the mount that holds a directory: what is attached there stays in this namespace, and
/// pivot_root accepts it. As a slave, so that it still sees what the host mounts. Only a mount's root can be changed,
/// hence upwards from the directory to the first that is one.
Status IsolateHolder(InitContext& ctx, int directory, const char* name) {
  UniqueFd at(openat(directory, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  constexpr int kMaxDepth = PATH_MAX / 2;
  for (int depth = 0; at.valid() && depth < kMaxDepth; depth++) {
    const Status status = mount_tree::Change(ctx, at.get(), {.propagation = MS_SLAVE}, name);
    if (status.ok() || status.err != EINVAL) return status;
    at.reset(openat(at.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  return Status::Fail(Op::kOpen, at.valid() ? ELOOP : errno, name);
}

/// pivot_root without a directory for the old root: it lands on top of the new one, and is taken off from there.
Status Pivot(InitContext& ctx) {
  UniqueFd old_root(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!old_root.valid()) return Status::Fail(Op::kOpen, errno, "/");
  if (fchdir(ctx.root.get()) != 0) return Status::Fail(Op::kFchdir, errno, "new root");
  if (sys::PivotRoot(".", ".") != 0) return Status::Fail(Op::kPivotRoot, errno);
  if (fchdir(old_root.get()) != 0) return Status::Fail(Op::kFchdir, errno, "old root");
  // Its mounts may still be peers of the host's (rootfsPropagation shared): the unmounting must not get there.
  if (mount(nullptr, ".", nullptr, MS_SLAVE | MS_REC, nullptr) != 0) return Status::Fail(Op::kMount, errno, "old root");
  if (umount2(".", MNT_DETACH) != 0) return Status::Fail(Op::kUmount2, errno, "old root");
  return Status::Ok();
}

/// One line of mountinfo (proc_pid_mountinfo(5)), cut up in place.
struct MountLine {
  char* root = nullptr;
  char* point = nullptr;
  char* type = nullptr;
};

/// Takes the next field, which ends in a space; null at the end of the line.
char* NextField(char*& rest) {
  if (rest == nullptr || *rest == '\0') return nullptr;
  char* field = rest;
  rest = strchr(rest, ' ');
  if (rest != nullptr) *rest++ = '\0';
  return field;
}

/// Space, tab, newline and backslash stand as \040, \011, \012, \134.
void Unescape(char* text) {
  char* to = text;
  for (const char* from = text; *from != '\0'; to++) {
    if (from[0] == '\\' && from[1] != '\0' && from[2] != '\0' && from[3] != '\0') {
      *to = static_cast<char>((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
      from += 4;
    } else {
      *to = *from++;
    }
  }
  *to = '\0';
}

bool ParseLine(char* line, MountLine& out) {
  char* rest = line;
  for (int i = 0; i < 3; i++)
    NextField(rest); // number, parent's number, device
  out.root = NextField(rest);
  out.point = NextField(rest);
  for (char* field = NextField(rest); field != nullptr; field = NextField(rest))
    if (strcmp(field, "-") == 0) {
      out.type = NextField(rest);
      break;
    }
  if (out.type == nullptr) return false;
  Unescape(out.point);
  return true;
}

bool IsBelow(const char* path, const char* directory) {
  const size_t length = strlen(directory);
  return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/// Takes one of the host's mounts away from this namespace or, where that is not allowed, out of sight.
Status HideMount(const char* point) {
  if (mount(nullptr, point, nullptr, MS_SLAVE | MS_REC, nullptr) != 0) {
    // Gone with a mount above it, or no longer what is on top there.
    if (errno == ENOENT || errno == EINVAL) return Status::Ok();
    return Status::Fail(Op::kMount, errno, point);
  }
  if (umount2(point, MNT_DETACH) == 0) return Status::Ok();
  const int err = errno;
  if (err != EINVAL && err != EPERM) return Status::Fail(Op::kUmount2, err, point);
  if (mount("tmpfs", point, "tmpfs", MS_RDONLY, nullptr) != 0) return Status::Fail(Op::kMount, errno, point);
  return Status::Ok();
}

/// Without pivot_root the host's mounts stay in the namespace. A whole procfs or sysfs among them would let the
/// container mount new ones without the masks of its own, so they go first. The list is read again after every change.
Status HideHostProcAndSys(InitContext& ctx) {
  int proc;
  TSRUN_TRY(OpenProc(ctx, proc));
  char link[32] = "self/fd/";
  sys::FormatU64(static_cast<uint64_t>(ctx.root.get()), link + 8);
  char rootfs[PATH_MAX];
  const ssize_t size = readlinkat(proc, link, rootfs, sizeof rootfs - 1);
  if (size < 0) return Status::Fail(Op::kReadlinkat, errno, "rootfs");
  rootfs[size] = '\0';

  static char buffer[3 * PATH_MAX]; // in .bss: only --no-pivot touches it
  UniqueFd file(openat(proc, "self/mountinfo", O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return Status::Fail(Op::kOpen, errno, "/proc/self/mountinfo");
  for (size_t kept = 0;;) {
    const ssize_t got = sys::Retry([&] { return read(file.get(), buffer + kept, sizeof buffer - 1 - kept); });
    if (got < 0) return Status::Fail(Op::kRead, errno, "/proc/self/mountinfo");
    if (got == 0) return Status::Ok();
    buffer[kept + static_cast<size_t>(got)] = '\0';
    char* line = buffer;
    for (char* end = strchr(line, '\n'); end != nullptr; line = end + 1, end = strchr(line, '\n')) {
      *end = '\0';
      MountLine mount_line;
      if (!ParseLine(line, mount_line)) return Status::Fail(Op::kVerify, EINVAL, "/proc/self/mountinfo");
      const bool whole = strcmp(mount_line.root, "/") == 0;
      const bool risky = strcmp(mount_line.type, "proc") == 0 || strcmp(mount_line.type, "sysfs") == 0;
      if (whole && risky && !IsBelow(mount_line.point, rootfs)) TSRUN_TRY(HideMount(mount_line.point));
    }
    kept = strlen(line);
    if (kept == sizeof buffer - 1) return Status::Fail(Op::kLimit, E2BIG, "/proc/self/mountinfo");
    memmove(buffer, line, kept + 1);
  }
}

Status Chroot(InitContext& ctx) {
  if (fchdir(ctx.root.get()) != 0) return Status::Fail(Op::kFchdir, errno, "new root");
  if (chroot(".") != 0) return Status::Fail(Op::kChroot, errno, "new root");
  return Status::Ok();
}

Status Move(InitContext& ctx) {
  TSRUN_TRY(HideHostProcAndSys(ctx));
  if (sys::MoveMount(ctx.root.get(), "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return Status::Fail(Op::kMoveMount, errno, "/");
  return Chroot(ctx);
}

/// Whoever says so: are we in the root that was made?
Status CheckRoot(InitContext& ctx) {
  struct stat wanted, found;
  if (fstat(ctx.root.get(), &wanted) != 0) return Status::Fail(Op::kFstat, errno, "new root");
  if (stat("/", &found) != 0) return Status::Fail(Op::kFstat, errno, "/");
  if (wanted.st_dev != found.st_dev || wanted.st_ino != found.st_ino)
    return Status::Fail(Op::kVerify, EINVAL, "/", 0, "not the container's root");
  return Status::Ok();
}

} // namespace

Status Run(InitContext& ctx, const abi::RootOpen& step) {
  return OpenRoot(step.path, ctx.root);
}

Status Run(InitContext& ctx, const abi::RootBind& step) {
  UniqueFd directory;
  TSRUN_TRY(OpenRoot(step.path, directory));
  if (step.isolate) TSRUN_TRY(IsolateHolder(ctx, directory.get(), step.path.data));
  UniqueFd tree;
  TSRUN_TRY(mount_tree::Clone(directory.get(), "", true, tree));
  // The copy is a peer of the host's mount where that is shared: nothing that is mounted in it may get there.
  const mount_tree::Changes changes = {.propagation = MS_SLAVE | MS_REC};
  TSRUN_TRY(mount_tree::ChangeAndAttach(ctx, tree.get(), changes, directory.get(), step.path.data));
  ctx.root = static_cast<UniqueFd&&>(tree);
  return Status::Ok();
}

Status Run(InitContext& ctx, const abi::RootPivot& step) {
  switch (static_cast<abi::PivotMethod>(step.method)) {
  case abi::PivotMethod::kPivot:
    TSRUN_TRY(Pivot(ctx));
    break;
  case abi::PivotMethod::kMove:
    TSRUN_TRY(Move(ctx));
    break;
  case abi::PivotMethod::kChroot:
    TSRUN_TRY(Chroot(ctx));
    break;
  default: // a number of the plan, not one of ours
    return Status::Fail(Op::kVerify, EINVAL, "method", static_cast<int64_t>(step.method));
  }
  // Not where pivot_root left us: the old root's directory must not stay the current one (CVE-2024-21626).
  if (chdir("/") != 0) return Status::Fail(Op::kChdir, errno, "/");
  return CheckRoot(ctx);
}

Status Run(InitContext& ctx, const abi::RootPropagation& step) {
  return mount_tree::Change(ctx, ctx.root.get(), {.propagation = step.flags}, "/");
}

Status Run(InitContext& ctx, const abi::RootReadonly&) {
  return mount_tree::Change(ctx, ctx.root.get(), {.set = mount_tree::kRdonly}, "/");
}

} // namespace tsrun
