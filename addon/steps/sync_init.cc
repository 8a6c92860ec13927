#include "addon/base/seqpacket.h"
#include "addon/exec/init_context.h"

namespace tsrun {

Status Run(InitContext& ctx, const abi::SyncSignal& step) {
  Message message;
  message.type = MessageType::kPoint;
  message.pid = 0;
  message.value = step.point;
  if (seqpacket::Send(ctx.sync.get(), &message, kShortMessage) < 0)
    return Status::Fail(Op::kSendmsg, errno, "sync socket");
  return Status::Ok();
}

Status Run(InitContext& ctx, const abi::SyncWait& step) {
  Message message;
  const ssize_t got = seqpacket::Receive(ctx.sync.get(), &message, kShortMessage);
  if (got < 0) return Status::Fail(Op::kRecvmsg, errno, "sync socket");
  if (got == 0) return Status::Fail(Op::kPeer, EPIPE, "the creating tsrun");
  if (message.type != MessageType::kPoint || message.value != step.point)
    return Status::Fail(Op::kVerify, EPROTO, "sync point", static_cast<int64_t>(message.value));
  ctx.host_pid = message.pid;
  return Status::Ok();
}

} // namespace tsrun
