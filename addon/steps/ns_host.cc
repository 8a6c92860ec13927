#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "addon/base/sys.h"
#include "addon/exec/host_context.h"
#include "addon/steps/process_identity_host.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

namespace tsrun {
namespace {

/// The file of a namespace of ours; null for a type that is none.
const char* OwnNamespace(int type) {
  switch (type) {
  case CLONE_NEWCGROUP:
    return "/proc/thread-self/ns/cgroup";
  case CLONE_NEWIPC:
    return "/proc/thread-self/ns/ipc";
  case CLONE_NEWNET:
    return "/proc/thread-self/ns/net";
  case CLONE_NEWNS:
    return "/proc/thread-self/ns/mnt";
  case CLONE_NEWPID:
    return "/proc/thread-self/ns/pid";
  case CLONE_NEWTIME:
    return "/proc/thread-self/ns/time";
  case CLONE_NEWUSER:
    return "/proc/thread-self/ns/user";
  case CLONE_NEWUTS:
    return "/proc/thread-self/ns/uts";
  default:
    return nullptr;
  }
}

/// What is done in a namespace because it is a container's must not be done to the host.
Status CheckForeign(int fd, int type, const char* path) {
  const char* own_path = OwnNamespace(type);
  struct stat theirs, own;
  if (own_path == nullptr) return Status::Fail(Op::kVerify, EINVAL, path, type, "not a type of namespace");
  if (fstat(fd, &theirs) != 0) return Status::Fail(Op::kFstat, errno, path);
  if (stat(own_path, &own) != 0) return Status::Fail(Op::kFstat, errno, own_path);
  if (theirs.st_dev == own.st_dev && theirs.st_ino == own.st_ino)
    return Status::Fail(Op::kVerify, EINVAL, path, type, "it is the host's own namespace");
  return Status::Ok();
}

} // namespace

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
  if (step.foreign) TSRUN_TRY(CheckForeign(fd.get(), type, step.path.data));
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
