#include <sys/vfs.h>
#include <sys/xattr.h>

#include "addon/steps/in_root_init.h"
#include "addon/steps/mount_tree_init.h"
#include "addon/steps/procfs_init.h"

namespace tsrun {
namespace {

/// Appends to a path of `size` bytes at `used`; false when it does not fit.
bool Append(char* path, size_t size, size_t& used, const char* text, size_t length) {
  if (used + length >= size) return false;
  memcpy(path + used, text, length);
  used += length;
  path[used] = '\0';
  return true;
}

/// Opens attr/<lsm>/<name> of this thread. What a link or a mount in /proc would put in its place is not written to:
/// the procfs is our own, or one whose files must lie in the same mount.
Status OpenAttribute(int proc, const abi::Str& lsm, const abi::Str& name, UniqueFd& out) {
  char path[128];
  size_t used = 0;
  constexpr char kBase[] = "thread-self/attr/"; // a plain link to <pid>/task/<tid>, not a magic one
  if (!Append(path, sizeof path, used, kBase, sizeof kBase - 1) ||
      !Append(path, sizeof path, used, lsm.data, lsm.size) ||
      !Append(path, sizeof path, used, "/", lsm.empty() ? 0 : 1) ||
      !Append(path, sizeof path, used, name.data, name.size))
    return Status::Fail(Op::kLimit, ENAMETOOLONG, name.data);
  out.reset(
      sys::Openat2(proc, path, O_WRONLY | O_CLOEXEC, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV));
  if (!out.valid()) return Status::Fail(Op::kOpenat2, errno, path);
  return Status::Ok();
}

} // namespace

Status Run(InitContext& ctx, const abi::LsmAttribute& step) {
  int proc;
  TSRUN_TRY(OpenProc(ctx, proc));
  UniqueFd file;
  Status opened = OpenAttribute(proc, step.lsm, step.name, file);
  // Before Linux 5.8 AppArmor had no directory of its own.
  if (opened.err == ENOENT && !step.lsm.empty()) opened = OpenAttribute(proc, {"", 0}, step.name, file);
  TSRUN_TRY(opened);
  TSRUN_TRY(mount_tree::CheckMagic(file.get(), mount_tree::kProcMagic, step.name.data));
  // In one write, as the kernel wants it; one of nothing clears.
  if (sys::Retry([&] { return write(file.get(), step.value.data, step.value.size); }) < 0)
    return Status::Fail(Op::kWrite, errno, step.value.data);
  return Status::Ok();
}

Status Run(InitContext& ctx, const abi::FsLabel& step) {
  char name[64];
  size_t used = 0;
  constexpr char kNamespace[] = "security.";
  if (!Append(name, sizeof name, used, kNamespace, sizeof kNamespace - 1) ||
      !Append(name, sizeof name, used, step.lsm.data, step.lsm.size))
    return Status::Fail(Op::kLimit, ENAMETOOLONG, step.lsm.data);
  UniqueFd directory;
  TSRUN_TRY(in_root::Open(ctx.root.get(), step.path.data, O_RDONLY | O_DIRECTORY, in_root::Links::kFollow, directory));
  // Somebody may have turned the path elsewhere: a label given to another directory would open that to the container.
  TSRUN_TRY(mount_tree::CheckMagic(directory.get(), step.magic, step.path.data));
  if (fsetxattr(directory.get(), name, step.label.data, step.label.size + 1, 0) != 0)
    return Status::Fail(Op::kFsetxattr, errno, step.path.data);
  return Status::Ok();
}

} // namespace tsrun
