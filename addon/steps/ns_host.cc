#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include "addon/base/sys.h"
#include "addon/exec/host_context.h"
#include "addon/steps/process_identity_host.h"

namespace tsrun {

Status Run(HostContext& ctx, const abi::NsOpen& step) {
  constexpr auto kNsfsMagic = 0x6e736673;
  // O_NONBLOCK: a fifo of that name must not hold us up.
  UniqueFd fd(open(step.path.data, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return Status::Fail(Op::kOpen, errno, step.path.data);
  struct statfs fs;
  if (fstatfs(fd.get(), &fs) != 0) return Status::Fail(Op::kFstatfs, errno, step.path.data);
  if (fs.f_type != kNsfsMagic) return Status::Fail(Op::kVerify, EINVAL, step.path.data, 0, "not a namespace");
  const int type = ioctl(fd.get(), NS_GET_NSTYPE);
  if (type < 0) return Status::Fail(Op::kIoctl, errno, step.path.data);
  if (static_cast<uint64_t>(type) != step.type)
    return Status::Fail(Op::kVerify, EINVAL, step.path.data, type, "a namespace of another type");
  ctx.slots.put(step.slot, static_cast<UniqueFd&&>(fd));
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::NsOpenProcess& step) {
  UniqueFd pidfd;
  TSRUN_TRY(OpenProcess(step.pid, step.start_time, pidfd));
  ctx.slots.put(step.slot, static_cast<UniqueFd&&>(pidfd));
  return Status::Ok();
}

} // namespace tsrun
