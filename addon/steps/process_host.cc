#include <csignal>
#include <ctime>
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "addon/base/sys.h"
#include "addon/exec/host_context.h"
#include "addon/steps/process_identity_host.h"

namespace tsrun {
namespace {

bool IsGone(const Status& status) {
  return (status.op == Op::kPidfdOpen || status.op == Op::kPidfdSendSignal) && status.err == ESRCH;
}

} // namespace

Status Run(HostContext&, const abi::ProcessSignal& step) {
  UniqueFd pidfd;
  Status status = OpenProcess(step.pid, step.start_time, pidfd);
  if (status.ok() && sys::PidfdSendSignal(pidfd.get(), static_cast<int>(step.signal)) != 0)
    status = Status::Fail(Op::kPidfdSendSignal, errno, "", static_cast<int64_t>(step.signal));
  if (!status.ok() && step.gone && IsGone(status)) return Status::Ok();
  return status;
}

Status Run(HostContext&, const abi::ProcessWaitGone& step) {
  UniqueFd pidfd;
  Status status = OpenProcess(step.pid, step.start_time, pidfd);
  if (!status.ok()) return IsGone(status) ? Status::Ok() : status;
  timespec start, now;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (;;) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    const int64_t passed = int64_t{now.tv_sec - start.tv_sec} * 1000 + (now.tv_nsec - start.tv_nsec) / 1'000'000;
    const int64_t left = static_cast<int64_t>(step.timeout_ms) - passed;
    if (left <= 0) return Status::Fail(Op::kTimeout, ETIMEDOUT, "", static_cast<int64_t>(step.timeout_ms));
    // A pidfd is readable from the moment the process is a zombie.
    pollfd fd = {pidfd.get(), POLLIN, 0};
    const int ready = poll(&fd, 1, left > 1'000'000 ? 1'000'000 : static_cast<int>(left));
    if (ready > 0) return Status::Ok();
    if (ready < 0 && errno != EINTR) return Status::Fail(Op::kPoll, errno);
  }
}

Status Run(HostContext& ctx, const abi::ProcessOomScoreAdj& step) {
  const std::string path = "/proc/" + std::to_string(ctx.pid) + "/oom_score_adj";
  const std::string value = std::to_string(step.value);
  UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid()) return Status::Fail(Op::kOpen, errno, path.c_str());
  if (sys::Retry([&] { return write(file.get(), value.data(), value.size()); }) < 0)
    return Status::Fail(Op::kWrite, errno, path.c_str());
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::ProcessRlimit& step) {
  const rlimit limit = {.rlim_cur = step.soft, .rlim_max = step.hard};
  if (syscall(SYS_prlimit64, ctx.pid, step.resource, &limit, nullptr) != 0)
    return Status::Fail(Op::kPrlimit64, errno, "", static_cast<int64_t>(step.resource));
  return Status::Ok();
}

} // namespace tsrun
