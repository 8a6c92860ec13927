#include <poll.h>
#include <sys/socket.h>

#include "addon/base/seqpacket.h"
#include "addon/exec/init_context.h"

namespace tsrun {
namespace {

/// Waits until the creator has recorded the container and says so; its end without a word is the container's end too,
/// so that no process is left that no state names.
Status WaitRecorded(InitContext& ctx) {
  Message message;
  const ssize_t got = seqpacket::Receive(ctx.sync.get(), &message, kShortMessage);
  if (got < 0) return Status::Fail(Op::kRecvmsg, errno, "sync socket");
  if (got == 0 || message.type != MessageType::kGo) return Status::Fail(Op::kPeer, EPIPE, "the creating tsrun");
  ctx.sync.reset();
  return Status::Ok();
}

} // namespace

Status Run(InitContext& ctx, const abi::GateWait& step) {
  TSRUN_TRY(WaitRecorded(ctx));
  const int listener = ctx.slots.get(step.slot);
  for (;;) {
    UniqueFd connection(sys::Retry([&] { return accept4(listener, nullptr, nullptr, SOCK_CLOEXEC); }));
    if (!connection.valid()) return Status::Fail(Op::kAccept4, errno, "gate");
    Message message;
    const ssize_t got = seqpacket::Receive(connection.get(), &message, kShortMessage);
    // A start that was killed before it gave the word has not opened the gate.
    if (got != static_cast<ssize_t>(kShortMessage) || message.type != MessageType::kGo) continue;
    ctx.gate = static_cast<UniqueFd&&>(connection);
    ctx.slots.put(step.slot, UniqueFd()); // a second start finds nobody
    return Status::Ok();
  }
}

} // namespace tsrun
