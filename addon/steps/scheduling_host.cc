// When and where the container's process runs. By the host, on the process's pid: real-time policies and classes need
// CAP_SYS_NICE in the initial user namespace, which the container's own root may not have.
#include "addon/base/sys.h"
#include "addon/exec/host_context.h"

namespace tsrun {
namespace {

/// struct sched_attr with the utilisation clamps of Linux 5.3 (SCHED_ATTR_SIZE_VER1).
struct SchedAttr {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime;
  uint64_t deadline;
  uint64_t period;
  uint32_t util_min;
  uint32_t util_max;
};
static_assert(sizeof(SchedAttr) == 56);

constexpr int kIoprioWhoProcess = 1;
constexpr unsigned kIoprioClassShift = 13;

} // namespace

Status Run(HostContext& ctx, const abi::ProcessScheduler& step) {
  if (step.policy > UINT32_MAX || step.priority > UINT32_MAX || step.nice < INT32_MIN || step.nice > INT32_MAX)
    return Status::Fail(Op::kVerify, ERANGE, "scheduler");
  const SchedAttr attr = {.size = sizeof attr,
                          .policy = static_cast<uint32_t>(step.policy),
                          .flags = step.flags,
                          .nice = static_cast<int32_t>(step.nice),
                          .priority = static_cast<uint32_t>(step.priority),
                          .runtime = step.runtime,
                          .deadline = step.deadline,
                          .period = step.period,
                          .util_min = 0,
                          .util_max = 0};
  if (syscall(SYS_sched_setattr, ctx.pid, &attr, 0) != 0) return Status::Fail(Op::kSchedSetattr, errno);
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::ProcessIoPriority& step) {
  // The class lies above the priority's bits: neither may reach into the other's.
  if (step.io_class > 7 || step.priority > 7) return Status::Fail(Op::kVerify, ERANGE, "priority");
  const auto value = static_cast<int>(step.io_class << kIoprioClassShift | step.priority);
  if (syscall(SYS_ioprio_set, kIoprioWhoProcess, ctx.pid, value) != 0) return Status::Fail(Op::kIoprioSet, errno);
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::ProcessAffinity& step) {
  if (syscall(SYS_sched_setaffinity, ctx.pid, step.cpus.size * sizeof(uint64_t), step.cpus.data) != 0)
    return Status::Fail(Op::kSchedSetaffinity, errno);
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::ProcessSpawnAffinity& step) {
  ctx.spawn_cpus.assign(step.cpus.data, step.cpus.data + step.cpus.size);
  return Status::Ok();
}

} // namespace tsrun
