#include <linux/sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "addon/base/seqpacket.h"
#include "addon/exec/init_context.h"

namespace tsrun {

Status Run(InitContext& ctx, const abi::ProcessFork&) {
  // CLONE_PARENT: the second stage must be the caller's child, as conmon and containerd's shim expect. The exit signal
  // is then the one of the first stage.
  const long pid = syscall(SYS_clone, CLONE_PARENT, nullptr, nullptr, nullptr, nullptr);
  if (pid < 0) return Status::Fail(Op::kClone3, errno, "second stage");
  if (pid == 0) return Status::Ok(); // goes on with the next step
  Message message;
  message.type = MessageType::kChild;
  message.pid = 0;
  message.value = static_cast<uint64_t>(pid);
  // If the host is gone, the second stage sees the end of the socket as we would.
  _exit(seqpacket::Send(ctx.sync.get(), &message, kShortMessage) < 0 ? 1 : 0);
}

} // namespace tsrun
