// The listener of a filter that asks somebody (SECCOMP_RET_USER_NOTIF) is a descriptor of tsrun-init's. tsrun-init
// cannot send it: the system call for that may be one that waits for an answer. So it says beforehand which number it
// will be, and it is taken from outside; nothing tells when but a look.
#include <ctime>
#include <poll.h>

#include "addon/base/send_fd.h"
#include "addon/base/seqpacket.h"
#include "addon/exec/host_context.h"
#include "addon/steps/unix_path_host.h"

namespace tsrun {
namespace {

/// Between two looks.
constexpr timespec kPause = {.tv_sec = 0, .tv_nsec = 200'000};

/// Takes the descriptor that the container is about to have, as soon as it is there. The container's own failure is
/// the answer when it could not load its filter.
Status TakeListener(HostContext& ctx, int number, UniqueFd& out) {
  for (;;) {
    out.reset(sys::PidfdGetfd(ctx.pidfd.get(), number));
    if (out.valid()) return Status::Ok();
    const int err = errno;
    // With the filter loaded the container waits for us; a word or an end is a failure.
    pollfd word = {ctx.sync.get(), POLLIN, 0};
    const int ready = ppoll(&word, 1, &kPause, nullptr);
    if (ready < 0 && errno != EINTR) return Status::Fail(Op::kPoll, errno, "sync socket");
    if (ready > 0) {
      Message message;
      TSRUN_TRY(ReceiveMessage(ctx, message));
      return Status::Fail(Op::kVerify, EPROTO, "listener", static_cast<int64_t>(message.value));
    }
    if (err != EBADF) return Status::Fail(Op::kPidfdGetfd, err, "listener");
  }
}

} // namespace

Status Run(HostContext& ctx, const abi::SeccompListener& step) {
  Message message;
  TSRUN_TRY(ReceiveMessage(ctx, message));
  if (message.type != MessageType::kListener || message.value > INT32_MAX)
    return Status::Fail(Op::kVerify, EPROTO, "listener", static_cast<int64_t>(message.value));
  UniqueFd listener, socket;
  TSRUN_TRY(TakeListener(ctx, static_cast<int>(message.value), listener));
  std::string state;
  for (uint32_t i = 0; i < step.state.size; i++) {
    if (i > 0) state += std::to_string(ctx.pid);
    state.append(step.state[i].data, step.state[i].size);
  }
  TSRUN_TRY(ConnectPath(step.path.data, socket));
  TSRUN_TRY(SendFd(socket.get(), listener.get(), state.data(), state.size(), step.path.data));
  if (seqpacket::Send(ctx.sync.get(), &message, kShortMessage) < 0)
    return Status::Fail(Op::kSendmsg, errno, "sync socket");
  return Status::Ok();
}

} // namespace tsrun
