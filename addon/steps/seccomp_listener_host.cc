// The listener of a filter that asks somebody (SECCOMP_RET_USER_NOTIF) is a descriptor of tsrun-init's. tsrun-init cannot
// send it: the system call for that may be one that waits for an answer. So it is taken from outside.
#include <poll.h>

#include "addon/base/send_fd.h"
#include "addon/exec/host_context.h"
#include "addon/steps/unix_path_host.h"

namespace tsrun {
namespace {

/// How often to look while the container says nothing: its next word may wait for the very listener.
constexpr int kPollMs = 1;

/// Takes the descriptor that the container is about to have, as soon as it is there. The container's own failure is
/// the answer when it could not load its filter.
Status TakeListener(HostContext& ctx, unsigned number, UniqueFd& out) {
  for (;;) {
    // The container's next word says that it is past the load, whichever way that went.
    pollfd word = {ctx.sync.get(), POLLIN, 0};
    const int ready = poll(&word, 1, kPollMs);
    if (ready < 0 && errno != EINTR) return Status::Fail(Op::kPoll, errno, "sync socket");
    out.reset(sys::PidfdGetfd(ctx.pidfd.get(), static_cast<int>(number)));
    if (out.valid()) return Status::Ok();
    const int err = errno;
    if (ready > 0) {
      Message message;
      TSRUN_TRY(ReceiveMessage(ctx, message));
      return Status::Fail(Op::kPidfdGetfd, err, "listener");
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
  TSRUN_TRY(TakeListener(ctx, static_cast<unsigned>(message.value), listener));
  std::string state;
  for (uint32_t i = 0; i < step.state.size; i++) {
    if (i > 0) state += std::to_string(ctx.pid);
    state.append(step.state[i].data, step.state[i].size);
  }
  TSRUN_TRY(ConnectPath(step.path.data, socket));
  return SendFd(socket.get(), listener.get(), state.data(), state.size(), step.path.data);
}

} // namespace tsrun
