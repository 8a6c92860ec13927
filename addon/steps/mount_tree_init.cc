#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "addon/steps/mount_tree_init.h"
#include "addon/steps/procfs_init.h"

namespace tsrun::mount_tree {
namespace {

#ifndef ST_NOSYMFOLLOW
#define ST_NOSYMFOLLOW 0x2000 // Linux 5.10
#endif
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

constexpr mode_t kDirectoryMode = 0755;
constexpr mode_t kFileMode = 0644;

/// Asked once. (No initialiser at run time: that would pull the C++ library's guards into tsrun-init.)
bool HasMountSetattr() {
  static enum class Answer { kUnknown, kYes, kNo } answer = Answer::kUnknown;
  if (answer == Answer::kUnknown) {
    const bool missing = sys::MountSetattr(-1, "", AT_EMPTY_PATH, {}) != 0 && errno == ENOSYS;
    answer = missing ? Answer::kNo : Answer::kYes;
  }
  return answer == Answer::kYes;
}

/// The attributes that a mount has, as MS_* flags of mount(2).
unsigned long PresentFlags(const struct statfs& fs) {
  constexpr struct {
    unsigned long st, ms;
  } kPairs[] = {{ST_RDONLY, MS_RDONLY},     {ST_NOSUID, MS_NOSUID},          {ST_NODEV, MS_NODEV},
                {ST_NOEXEC, MS_NOEXEC},     {ST_NOATIME, MS_NOATIME},        {ST_NODIRATIME, MS_NODIRATIME},
                {ST_RELATIME, MS_RELATIME}, {ST_NOSYMFOLLOW, MS_NOSYMFOLLOW}};
  unsigned long flags = 0;
  for (const auto& pair : kPairs)
    if ((static_cast<unsigned long>(fs.f_flags) & pair.st) != 0) flags |= pair.ms;
  // None of the three is strictatime, which mount(2) would otherwise take for relatime.
  if ((flags & (MS_NOATIME | MS_RELATIME)) == 0) flags |= MS_STRICTATIME;
  return flags;
}

/// mount_setattr for kernels that have none: they can only change one attached mount.
Status Remount(InitContext& ctx, int mount, const Changes& changes, const char* name) {
  if (changes.recursive) return Status::Fail(Op::kMountSetattr, ENOSYS, name, 0, "recursive: needs Linux 5.12");
  constexpr unsigned long kAtime = MS_NOATIME | MS_RELATIME | MS_STRICTATIME;
  constexpr uint64_t kAttrAtime = 0x70;
  struct statfs fs;
  if (fstatfs(mount, &fs) != 0) return Status::Fail(Op::kFstatfs, errno, name);
  unsigned long flags = PresentFlags(fs);
  if ((changes.clear & kAttrAtime) != 0) flags &= ~kAtime;
  flags &= ~FlagsOf(changes.clear & ~kAttrAtime);
  flags |= FlagsOf(changes.set);
  if ((flags & kAtime) == 0) flags |= MS_RELATIME;
  int proc;
  TSRUN_TRY(OpenProc(ctx, proc));
  if (CallMount(proc, nullptr, mount, nullptr, MS_REMOUNT | MS_BIND | flags, nullptr) != 0)
    return Status::Fail(Op::kMount, errno, name);
  return Status::Ok();
}

/// Opens the last component as it is. One that is missing is for the caller to make: `existed`.
Status OpenLast(int root, const char* path, UniqueFd& out, bool& existed) {
  UniqueFd parent;
  const char* name;
  TSRUN_TRY(in_root::OpenParent(root, path, parent, name));
  out.reset(openat(parent.get(), name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  existed = out.valid();
  if (!existed && errno != ENOENT) return Status::Fail(Op::kOpen, errno, path);
  return Status::Ok();
}

} // namespace

unsigned long FlagsOf(uint64_t attributes) {
  unsigned long flags = attributes & (kRdonly | kNosuid | kNodev | kNoexec); // the same numbers
  if ((attributes & 0x10) != 0) flags |= MS_NOATIME;
  if ((attributes & 0x20) != 0) flags |= MS_STRICTATIME;
  if ((attributes & 0x80) != 0) flags |= MS_NODIRATIME;
  if ((attributes & kNosymfollow) != 0) flags |= MS_NOSYMFOLLOW;
  return flags;
}

Status Change(InitContext& ctx, int mount, const Changes& changes, const char* name) {
  if ((changes.set | changes.clear) != 0) {
    if (HasMountSetattr()) {
      const sys::MountAttr attr = {.attr_set = changes.set, .attr_clr = changes.clear};
      if (sys::MountSetattr(mount, "", AT_EMPTY_PATH | (changes.recursive ? AT_RECURSIVE : 0), attr) != 0)
        return Status::Fail(Op::kMountSetattr, errno, name);
    } else {
      TSRUN_TRY(Remount(ctx, mount, changes, name));
    }
  }
  if (changes.propagation != 0) {
    if (HasMountSetattr()) {
      const sys::MountAttr attr = {.propagation = changes.propagation & ~uint64_t{MS_REC}};
      const unsigned recursive = (changes.propagation & MS_REC) != 0 ? AT_RECURSIVE : 0;
      if (sys::MountSetattr(mount, "", AT_EMPTY_PATH | recursive, attr) != 0)
        return Status::Fail(Op::kMountSetattr, errno, name);
    } else {
      int proc;
      TSRUN_TRY(OpenProc(ctx, proc));
      if (CallMount(proc, nullptr, mount, nullptr, static_cast<unsigned long>(changes.propagation), nullptr) != 0)
        return Status::Fail(Op::kMount, errno, name);
    }
  }
  return Status::Ok();
}

Status ChangeAndAttach(InitContext& ctx, int mount, const Changes& changes, int target, const char* name) {
  if (HasMountSetattr()) TSRUN_TRY(Change(ctx, mount, changes, name));
  if (sys::MoveMount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
    return Status::Fail(Op::kMoveMount, errno, name);
  if (!HasMountSetattr()) TSRUN_TRY(Change(ctx, mount, changes, name));
  return Status::Ok();
}

Status Clone(int dir, const char* path, bool recursive, UniqueFd& out, in_root::Links last) {
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
  if (path[0] == '\0') flags |= AT_EMPTY_PATH;
  if (recursive) flags |= AT_RECURSIVE;
  if (last == in_root::Links::kRefuse) flags |= AT_SYMLINK_NOFOLLOW;
  out.reset(sys::OpenTree(dir, path, flags));
  if (!out.valid()) return Status::Fail(Op::kOpenTree, errno, path);
  return Status::Ok();
}

int CallMount(int proc, const char* source, int target, const char* type, unsigned long flags, const void* data) {
  // Relative to a procfs that is known to be one: /proc may be anything by now.
  UniqueFd before(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!before.valid() || fchdir(proc) != 0) return -1;
  char path[32] = "self/fd/";
  sys::FormatU64(static_cast<uint64_t>(target), path + 8);
  const int result = mount(source, path, type, flags, data);
  const int err = errno;
  if (fchdir(before.get()) != 0) return -1;
  errno = err;
  return result;
}

Status CheckMagic(int fd, uint64_t magic, const char* name) {
  struct statfs fs;
  if (fstatfs(fd, &fs) != 0) return Status::Fail(Op::kFstatfs, errno, name);
  if (static_cast<uint64_t>(fs.f_type) != magic)
    return Status::Fail(Op::kVerify, EINVAL, name, static_cast<int64_t>(fs.f_type), "a file system of another type");
  return Status::Ok();
}

Status OpenTarget(int root, const char* path, bool directory, TargetLinks target_links, UniqueFd& out, bool& existed) {
  const in_root::Kind kind = directory ? in_root::Kind::kDirectory : in_root::Kind::kFile;
  existed = target_links == TargetLinks::kKeepLast;
  if (existed) TSRUN_TRY(OpenLast(root, path, out, existed));
  if (!existed) {
    const in_root::Links links =
        target_links == TargetLinks::kRefuse ? in_root::Links::kRefuse : in_root::Links::kFollow;
    TSRUN_TRY(in_root::OpenOrMake(root, path, kind, directory ? kDirectoryMode : kFileMode, links, out, existed));
  }
  struct stat st;
  if (fstat(out.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, path);
  if (S_ISDIR(st.st_mode) != directory)
    return Status::Fail(Op::kVerify, directory ? ENOTDIR : EISDIR, path, 0,
                        directory ? "a directory cannot be mounted over a file"
                                  : "a file cannot be mounted over a directory");
  if (target_links == TargetLinks::kRefuse) return Status::Ok();
  struct statfs fs;
  if (fstatfs(out.get(), &fs) != 0) return Status::Fail(Op::kFstatfs, errno, path);
  if (static_cast<uint64_t>(fs.f_type) == kProcMagic)
    return Status::Fail(Op::kVerify, EPERM, path, 0, "it lies inside a procfs");
  return Status::Ok();
}

} // namespace tsrun::mount_tree
