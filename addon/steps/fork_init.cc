#include <linux/sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "addon/base/seqpacket.h"
#include "addon/exec/init_context.h"

namespace tsrun {

Status Run(InitContext& ctx, const abi::ProcessFork&) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return Status::Fail(Op::kSocket, errno, "second stage");
  const UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  // CLONE_PARENT: the second stage must be the caller's child, as conmon and containerd's shim expect. The exit signal
  // is then the one of the first stage.
  const long pid = syscall(SYS_clone, CLONE_PARENT, nullptr, nullptr, nullptr, nullptr);
  if (pid < 0) return Status::Fail(Op::kClone3, errno, "second stage");
  if (pid == 0) {
    // Goes on with the next step when the first stage has ended: what it sends must come after the word of who it is.
    theirs.reset();
    char none;
    if (sys::Retry([&] { return read(ours.get(), &none, 1); }) < 0)
      return Status::Fail(Op::kRead, errno, "second stage");
    return Status::Ok();
  }
  Message message;
  message.type = MessageType::kChild;
  message.pid = 0;
  message.value = static_cast<uint64_t>(pid);
  // If the host is gone, the second stage sees the end of the socket as we would.
  _exit(seqpacket::Send(ctx.sync.get(), &message, kShortMessage) < 0 ? 1 : 0);
}

} // namespace tsrun
