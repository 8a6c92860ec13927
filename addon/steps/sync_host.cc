#include <csignal>
#include <sys/wait.h>

#include "addon/base/seqpacket.h"
#include "addon/exec/host_context.h"

namespace tsrun {
namespace {

/// How a child of ours ended, left for somebody else to reap.
Status HowItEnded(const HostContext& ctx) {
  siginfo_t info{};
  if (ctx.pidfd.valid() &&
      sys::Retry([&] { return waitid(P_PIDFD, static_cast<id_t>(ctx.pidfd.get()), &info, WEXITED | WNOWAIT); }) == 0) {
    if (info.si_code == CLD_EXITED) return Status::Fail(Op::kExited, 0, "tsrun-init", info.si_status);
    return Status::Fail(Op::kKilled, 0, "tsrun-init", info.si_status);
  }
  return Status::Fail(Op::kPeer, EPIPE, "tsrun-init");
}

/// Receives a message, or learns that the other end is closed.
Status ReceiveOrEnd(HostContext& ctx, Message& message, bool& end) {
  if (!ctx.sync.valid()) return Status::Fail(Op::kPeer, ENOTCONN, "no process was spawned");
  ssize_t got = seqpacket::Receive(ctx.sync.get(), &message, sizeof message);
  // It ended before it read our last message. The kernel says so once, before what it still said and the end of file.
  if (got < 0 && errno == ECONNRESET) got = seqpacket::Receive(ctx.sync.get(), &message, sizeof message);
  if (got < 0) return Status::Fail(Op::kRecvmsg, errno, "sync socket");
  end = got == 0;
  if (end) return Status::Ok();
  if (static_cast<size_t>(got) < kShortMessage) return Status::Fail(Op::kVerify, EPROTO, "sync message");
  if (message.type == MessageType::kFault) {
    if (ctx.fault.mode != FaultMode::kKillHost || ctx.fault.side != FailureSide::kContainer)
      return Status::Fail(Op::kVerify, EPROTO, "sync message");
    kill(getpid(), SIGKILL); // a test asked for our death at this step of the container
  }
  if (message.type == MessageType::kFailure) {
    if (static_cast<size_t>(got) != sizeof message) return Status::Fail(Op::kVerify, EPROTO, "sync message");
    KeepFailure(ctx, message.failure);
    return Status::Fail(Op::kPeer, EPIPE, "container");
  }
  return Status::Ok();
}

} // namespace

void KeepFailure(HostContext& ctx, const Failure& failure) {
  ctx.container_failed = true;
  ctx.container_failure = failure;
  ctx.container_failure.path[Status::kPathBytes - 1] = '\0';
  ctx.container_failure.text[Status::kTextBytes - 1] = '\0';
}

Status ReceiveMessage(HostContext& ctx, Message& message) {
  bool end = false;
  TSRUN_TRY(ReceiveOrEnd(ctx, message, end));
  return end ? HowItEnded(ctx) : Status::Ok();
}

Status Run(HostContext& ctx, const abi::SyncSignal& step) {
  Message message{};
  message.type = MessageType::kPoint;
  message.pid = static_cast<uint32_t>(ctx.pid);
  message.value = step.point;
  if (seqpacket::Send(ctx.sync.get(), &message, kShortMessage) < 0) {
    const int err = errno;
    // The container may have said why before it ended.
    if (err == EPIPE || err == ECONNRESET) {
      Message last;
      for (;;) {
        Status status = ReceiveMessage(ctx, last);
        if (!status.ok()) return status;
      }
    }
    return Status::Fail(Op::kSendmsg, err, "sync socket");
  }
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::SyncWait& step) {
  Message message;
  TSRUN_TRY(ReceiveMessage(ctx, message));
  if (message.type != MessageType::kPoint || message.value != step.point)
    return Status::Fail(Op::kVerify, EPROTO, "sync point", static_cast<int64_t>(message.value));
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::ProcessWaitExec&) {
  Message message;
  bool end = false;
  TSRUN_TRY(ReceiveOrEnd(ctx, message, end));
  if (!end) return Status::Fail(Op::kVerify, EPROTO, "message instead of execve");
  // tsrun-init ended before it came to its last step, and could not say why.
  if (ctx.control->reports[ctx.host_steps + ctx.container_steps - 1].state == StepState::kNotRun)
    return HowItEnded(ctx);
  // Close-on-exec closed the socket, whatever became of the program since. Not to be waited for: it may run for ever.
  ctx.sync.reset();
  return Status::Ok();
}

} // namespace tsrun
