#include <sys/stat.h>

#include "addon/base/sys.h"
#include "addon/steps/device_node_init.h"
#include "addon/steps/in_root_init.h"
#include "addon/steps/mount_tree_init.h"

namespace tsrun {
namespace {

struct Device {
  mode_t type; // S_IFCHR, S_IFBLK, S_IFIFO
  dev_t number;
};

bool IsThe(const struct stat& st, const Device& device) {
  return (st.st_mode & S_IFMT) == device.type && (device.type == S_IFIFO || st.st_rdev == device.number);
}

Status CheckType(uint64_t type, const char* path) {
  if (type != S_IFCHR && type != S_IFBLK && type != S_IFIFO)
    return Status::Fail(Op::kVerify, EINVAL, path, static_cast<int64_t>(type), "type of a device");
  return Status::Ok();
}

/// Binds a device of the host over a plain file made for it, or over what is there if that is the same device.
Status BindDevice(InitContext& ctx, const char* source, const char* path, const Device& device) {
  UniqueFd tree;
  TSRUN_TRY(mount_tree::Clone(AT_FDCWD, source, false, tree));
  struct stat st;
  if (fstat(tree.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, source);
  if (!IsThe(st, device)) return Status::Fail(Op::kVerify, EINVAL, source, 0, "not the device that is asked for");
  UniqueFd target;
  bool existed;
  TSRUN_TRY(mount_tree::OpenTarget(ctx.root.get(), path, false, mount_tree::TargetLinks::kFollow, target, existed));
  if (fstat(target.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, path);
  if (!S_ISREG(st.st_mode) && !IsThe(st, device))
    return Status::Fail(Op::kVerify, EEXIST, path, 0, "another file is there");
  return mount_tree::ChangeAndAttach(ctx, tree.get(), {}, target.get(), path);
}

/// The owner of a node that was made just now, after making sure that it is still the one.
Status SetOwner(int parent, const char* name, const Device& device, const abi::DeviceCreate& step) {
  UniqueFd node(openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!node.valid()) return Status::Fail(Op::kOpen, errno, step.path.data);
  struct stat st;
  if (fstat(node.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, step.path.data);
  if (!IsThe(st, device))
    return Status::Fail(Op::kVerify, EINVAL, step.path.data, 0, "no longer the device that was made");
  if (fchownat(node.get(), "", static_cast<uid_t>(step.uid), static_cast<gid_t>(step.gid), AT_EMPTY_PATH) != 0)
    return Status::Fail(Op::kFchown, errno, step.path.data);
  return Status::Ok();
}

} // namespace

Status OpenNullDevice(InitContext& ctx, int& fd) {
  if (!ctx.null_device.valid()) {
    UniqueFd null;
    TSRUN_TRY(in_root::Open(ctx.root.get(), "dev/null", O_PATH, in_root::Links::kFollow, null));
    struct stat st;
    if (fstat(null.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, "dev/null");
    if (!IsThe(st, {.type = S_IFCHR, .number = sys::DeviceNumber(1, 3)}))
      return Status::Fail(Op::kVerify, EINVAL, "dev/null", 0, "not the null device");
    ctx.null_device = static_cast<UniqueFd&&>(null);
  }
  fd = ctx.null_device.get();
  return Status::Ok();
}

Status Run(InitContext& ctx, const abi::DeviceCreate& step) {
  TSRUN_TRY(CheckType(step.type, step.path.data));
  // (uid_t)-1 would mean "as it is".
  if (step.uid >= UINT32_MAX || step.gid >= UINT32_MAX || (step.mode & ~uint64_t{07777}) != 0)
    return Status::Fail(Op::kVerify, EINVAL, step.path.data, 0, "owner or mode");
  const Device device = {.type = static_cast<mode_t>(step.type), .number = sys::DeviceNumber(step.major, step.minor)};
  UniqueFd parent;
  const char* name;
  TSRUN_TRY(in_root::OpenParent(ctx.root.get(), step.path.data, parent, name));

  const mode_t before = umask(0);
  const int result = mknodat(parent.get(), name, device.type | static_cast<mode_t>(step.mode),
                             device.type == S_IFIFO ? 0 : device.number);
  const int err = errno;
  umask(before);
  if (result == 0) return step.uid == 0 && step.gid == 0 ? Status::Ok() : SetOwner(parent.get(), name, device, step);
  if (err == EPERM && step.bind_from.size > 0 && device.type != S_IFIFO)
    return BindDevice(ctx, step.bind_from.data, step.path.data, device);
  if (err != EEXIST) return Status::Fail(Op::kMknodat, err, step.path.data);
  // config-linux.md, Devices: a file that is there and does not match is an error.
  struct stat st;
  if (fstatat(parent.get(), name, &st, AT_SYMLINK_NOFOLLOW) != 0)
    return Status::Fail(Op::kFstat, errno, step.path.data);
  if (!IsThe(st, device)) return Status::Fail(Op::kVerify, EEXIST, step.path.data, 0, "another file is there");
  return Status::Ok();
}

Status Run(InitContext& ctx, const abi::DeviceBind& step) {
  TSRUN_TRY(CheckType(step.type, step.path.data));
  return BindDevice(ctx, step.source.data, step.path.data,
                    {.type = static_cast<mode_t>(step.type), .number = sys::DeviceNumber(step.major, step.minor)});
}

namespace {

Status ReopenNull(InitContext& ctx) {
  const Device null = {.type = S_IFCHR, .number = sys::DeviceNumber(1, 3)};
  UniqueFd own;
  for (int fd = 0; fd < 3; fd++) {
    struct stat st;
    if (fstat(fd, &st) != 0) {
      if (errno == EBADF) continue; // the caller closed it
      return Status::Fail(Op::kFstat, errno, "standard stream", fd);
    }
    if (!IsThe(st, null)) continue;
    if (!own.valid()) {
      int verified;
      TSRUN_TRY(OpenNullDevice(ctx, verified));
      // Not by the verified descriptor, which would need a procfs; so the new one is verified as well.
      TSRUN_TRY(
          in_root::Open(ctx.root.get(), "dev/null", O_RDWR | O_NOCTTY | O_NONBLOCK, in_root::Links::kFollow, own));
      if (fstat(own.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, "dev/null");
      if (!IsThe(st, null)) return Status::Fail(Op::kVerify, EINVAL, "dev/null", 0, "not the null device");
      if (fcntl(own.get(), F_SETFL, 0) != 0) return Status::Fail(Op::kFcntl, errno, "dev/null");
    }
    if (dup3(own.get(), fd, 0) < 0) return Status::Fail(Op::kFcntl, errno, "standard stream", fd);
  }
  return Status::Ok();
}

} // namespace

Status Run(InitContext& ctx, const abi::DeviceReopenNull&) {
  if (ctx.root.valid()) return ReopenNull(ctx);
  // An exec'd process has joined a container whose root is its own already.
  ctx.root.reset(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!ctx.root.valid()) return Status::Fail(Op::kOpen, errno, "/");
  const Status status = ReopenNull(ctx);
  ctx.root.reset();
  return status;
}

} // namespace tsrun
