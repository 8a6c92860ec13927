#include <sys/mount.h>
#include <sys/stat.h>

#include "addon/steps/device_node_init.h"
#include "addon/steps/in_root_init.h"
#include "addon/steps/mount_tree_init.h"

namespace tsrun {
namespace {

constexpr unsigned kFsopenCloexec = 1;
constexpr unsigned kFsmountCloexec = 1;

/// Opens what is to be hidden or protected; nothing there is nothing to do.
Status OpenPath(InitContext& ctx, const abi::Str& path, UniqueFd& out) {
  const Status status = in_root::Open(ctx.root.get(), path.data, O_PATH, in_root::Links::kFollow, out);
  if (!status.ok() && status.err != ENOENT && status.err != ENOTDIR) return status;
  return Status::Ok();
}

/// An empty directory that nobody can write to.
Status MakeEmpty(const abi::Str& selinux_context, UniqueFd& out) {
  UniqueFd context(sys::Fsopen("tmpfs", kFsopenCloexec));
  if (!context.valid()) return Status::Fail(Op::kFsopen, errno, "tmpfs");
  // The sizes are for a program that may make it writable again: a file system for nothing.
  if (sys::Fsconfig(context.get(), sys::FsConfig::kSetString, "source", "tmpfs", 0) != 0 ||
      sys::Fsconfig(context.get(), sys::FsConfig::kSetString, "nr_inodes", "1", 0) != 0 ||
      sys::Fsconfig(context.get(), sys::FsConfig::kSetString, "mode", "755", 0) != 0 ||
      (!selinux_context.empty() &&
       sys::Fsconfig(context.get(), sys::FsConfig::kSetString, "context", selinux_context.data, 0) != 0) ||
      sys::Fsconfig(context.get(), sys::FsConfig::kCreate, nullptr, nullptr, 0) != 0)
    return Status::Fail(Op::kFsconfig, errno, "tmpfs");
  out.reset(sys::Fsmount(context.get(), kFsmountCloexec,
                         mount_tree::kRdonly | mount_tree::kNosuid | mount_tree::kNodev | mount_tree::kNoexec));
  if (!out.valid()) return Status::Fail(Op::kFsmount, errno, "tmpfs");
  return Status::Ok();
}

} // namespace

Status Run(InitContext& ctx, const abi::PathMask& step) {
  UniqueFd target, mask;
  TSRUN_TRY(OpenPath(ctx, step.path, target));
  if (!target.valid()) return Status::Ok();
  struct stat st;
  if (fstat(target.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, step.path.data);
  const bool directory = S_ISDIR(st.st_mode);
  if (!directory) {
    int null;
    TSRUN_TRY(OpenNullDevice(ctx, null));
    TSRUN_TRY(mount_tree::Clone(null, "", false, mask));
  } else if (ctx.empty.valid()) {
    // One file system for all of them: only an attached mount can be copied.
    TSRUN_TRY(mount_tree::Clone(ctx.empty.get(), "", false, mask));
  } else {
    TSRUN_TRY(MakeEmpty(step.context, mask));
  }
  TSRUN_TRY(mount_tree::ChangeAndAttach(ctx, mask.get(), {}, target.get(), step.path.data));
  if (directory && !ctx.empty.valid()) ctx.empty = static_cast<UniqueFd&&>(mask);
  return Status::Ok();
}

Status Run(InitContext& ctx, const abi::PathReadonly& step) {
  UniqueFd target, tree;
  TSRUN_TRY(OpenPath(ctx, step.path, target));
  if (!target.valid()) return Status::Ok();
  TSRUN_TRY(mount_tree::Clone(target.get(), "", true, tree));
  return mount_tree::ChangeAndAttach(ctx, tree.get(), {.set = mount_tree::kRdonly}, target.get(), step.path.data);
}

} // namespace tsrun
