#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "addon/base/seqpacket.h"
#include "addon/exec/init_context.h"

namespace tsrun {
namespace {

/// Tells the host which descriptor the listener will be: the lowest free one, since nobody else opens any. Before the
/// filter is loaded, because any system call after it may be one that waits for the host to pass the listener on.
Status AnnounceListener(InitContext& ctx) {
  Message message{};
  message.type = MessageType::kListener;
  {
    const UniqueFd lowest(fcntl(ctx.sync.get(), F_DUPFD_CLOEXEC, 0));
    if (!lowest.valid()) return Status::Fail(Op::kFcntl, errno, "listener");
    message.value = static_cast<uint64_t>(lowest.get());
  }
  if (seqpacket::Send(ctx.sync.get(), &message, kShortMessage) < 0)
    return Status::Fail(Op::kSendmsg, errno, "sync socket");
  return Status::Ok();
}

/// Waits until the host has passed the listener on: execve would close it. Whatever the filter asks about from here on,
/// its owner can answer. Nobody else may hold the listener, or a system call that its owner left would wait for ever.
Status WaitPassedOn(InitContext& ctx, UniqueFd listener) {
  Message message;
  const ssize_t got = seqpacket::Receive(ctx.sync.get(), &message, kShortMessage);
  if (got < 0) return Status::Fail(Op::kRecvmsg, errno, "sync socket");
  if (got == 0) return Status::Fail(Op::kPeer, EPIPE, "the creating tsrun");
  if (message.type != MessageType::kListener) return Status::Fail(Op::kVerify, EPROTO, "listener");
  listener.reset();
  return Status::Ok();
}

} // namespace

Status Run(InitContext& ctx, const abi::SeccompLoad& step) {
  const int fd = ctx.slots.get(step.slot);
  struct stat st;
  if (fstat(fd, &st) != 0) return Status::Fail(Op::kFstat, errno, "filter");
  const auto bytes = static_cast<size_t>(st.st_size);
  if (bytes == 0 || bytes % sizeof(sock_filter) != 0 || bytes > BPF_MAXINSNS * sizeof(sock_filter))
    return Status::Fail(Op::kVerify, EINVAL, "filter", st.st_size);
  void* mapping = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  if (mapping == MAP_FAILED) return Status::Fail(Op::kMmap, errno, "filter");
  const sock_fprog program = {.len = static_cast<unsigned short>(bytes / sizeof(sock_filter)),
                              .filter = static_cast<sock_filter*>(mapping)}; // the kernel reads only
  auto flags = static_cast<unsigned>(step.flags);
  if (step.listener) {
    flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
    if (step.dumpable && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0)
      return Status::Fail(Op::kPrctl, errno, "PR_SET_DUMPABLE");
    TSRUN_TRY(AnnounceListener(ctx));
  }
  // Nothing after it that the filter might forbid: the mapping goes with execve.
  const long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  if (result < 0) return Status::Fail(Op::kSeccomp, errno, "SECCOMP_SET_MODE_FILTER", flags);
  return step.listener ? WaitPassedOn(ctx, UniqueFd(static_cast<int>(result))) : Status::Ok();
}

} // namespace tsrun
