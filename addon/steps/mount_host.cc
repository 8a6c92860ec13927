#include <sys/mount.h>
#include <sys/stat.h>

#include <string>

#include "addon/base/sys.h"
#include "addon/exec/host_context.h"

namespace tsrun {

Status Run(HostContext& ctx, const abi::MountOpenTree& step) {
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
  if (step.recursive) flags |= AT_RECURSIVE;
  if (step.no_follow) flags |= AT_SYMLINK_NOFOLLOW;
  UniqueFd tree(sys::OpenTree(AT_FDCWD, step.source.data, flags));
  if (!tree.valid()) return Status::Fail(Op::kOpenTree, errno, step.source.data);
  // The copy is a peer of its source where that is shared. As a slave it sees what the host mounts, but never the other
  // way.
  const sys::MountAttr attr = {.propagation = MS_SLAVE};
  if (sys::MountSetattr(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, attr) != 0) {
    if (errno != ENOSYS) return Status::Fail(Op::kMountSetattr, errno, step.source.data);
    // Before Linux 5.12. The host's /proc is trusted.
    const std::string path = "/proc/self/fd/" + std::to_string(tree.get());
    if (mount(nullptr, path.c_str(), nullptr, MS_SLAVE | MS_REC, nullptr) != 0)
      return Status::Fail(Op::kMount, errno, step.source.data);
  }
  ctx.slots.put(step.slot, std::move(tree));
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::MountIdmap& step) {
  constexpr uint64_t kIdmap = 0x100000; // MOUNT_ATTR_IDMAP
  const sys::MountAttr attr = {.attr_set = kIdmap, .userns_fd = static_cast<uint64_t>(ctx.slots.get(step.userns))};
  const unsigned flags = AT_EMPTY_PATH | (step.recursive ? unsigned{AT_RECURSIVE} : 0);
  if (sys::MountSetattr(ctx.slots.get(step.tree), "", flags, attr) != 0)
    return Status::Fail(Op::kMountSetattr, errno, "", 0, "MOUNT_ATTR_IDMAP");
  return Status::Ok();
}

} // namespace tsrun
