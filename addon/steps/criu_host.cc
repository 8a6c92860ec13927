// The client's side of CRIU's RPC (criu.org/RPC): one request, notifications that are answered one by one, one answer.
// What is asked for is encoded in TypeScript.
#include <csignal>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <string>
#include <vector>

#include "addon/base/send_fd.h"
#include "addon/base/seqpacket.h"
#include "addon/exec/host_context.h"
#include "addon/steps/criu_response_host.h"

namespace tsrun {
namespace {

/// How long a CRIU that learns that nobody waits for it may take to undo what it did.
constexpr int kUndoPatienceMs = 10'000;
/// The same once the restored process is killed, for which it may wait in vain: it traces what that one waits for.
constexpr int kKilledPatienceMs = 2'000;
/// Answers are a few hundred bytes.
constexpr size_t kMostBytes = 64 * 1024;

int CriuPidfd(const HostContext& ctx) {
  return ctx.criu_pidfd.valid() ? ctx.criu_pidfd.get() : ctx.pidfd.get();
}

/// Waits for CRIU, which ends when its socket does, and reaps it.
Status Reap(HostContext& ctx) {
  ctx.criu.reset();
  ctx.criu_waiting = false;
  siginfo_t info{};
  if (sys::Retry([&] { return waitid(P_PIDFD, static_cast<id_t>(CriuPidfd(ctx)), &info, WEXITED); }) != 0)
    return Status::Fail(Op::kWaitid, errno, "criu");
  if (ctx.criu_pidfd.valid()) {
    ctx.criu_pidfd.reset();
  } else {
    ctx.pidfd.reset();
    ctx.pid = -1;
  }
  return Status::Ok();
}

/// CRIU undoes what it did when its client goes; one that does not come to an end is killed. Shortly before the end it
/// would only complain and let the restored processes run: they go first.
void GiveUp(HostContext& ctx) {
  if (!ctx.criu.valid()) return; // it has ended
  const bool adopted = ctx.criu_pidfd.valid();
  if (adopted) sys::PidfdSendSignal(ctx.pidfd.get(), SIGKILL);
  ctx.criu.reset();
  const int pidfd = CriuPidfd(ctx);
  if (pidfd < 0) return;
  pollfd fd = {pidfd, POLLIN, 0};
  const int patience = adopted ? kKilledPatienceMs : kUndoPatienceMs;
  if (sys::Retry([&] { return poll(&fd, 1, patience); }) <= 0) sys::PidfdSendSignal(pidfd, SIGKILL);
  (void)Reap(ctx); // an undo has nobody to tell
}

/// CRIU closed its socket without an answer: how it ended.
Status Ended(const HostContext& ctx) {
  siginfo_t info{};
  const auto pidfd = static_cast<id_t>(CriuPidfd(ctx));
  if (sys::Retry([&] { return waitid(P_PIDFD, pidfd, &info, WEXITED | WNOWAIT); }) != 0)
    return Status::Fail(Op::kPeer, EPIPE, "criu");
  return Status::Fail(info.si_code == CLD_EXITED ? Op::kExited : Op::kKilled, 0, "criu", info.si_status);
}

/// Receives an answer, and the descriptor that may come with it.
Status Receive(HostContext& ctx, criu::Response& response, UniqueFd& fd) {
  std::vector<uint8_t> bytes(kMostBytes);
  iovec data = {bytes.data(), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t got = sys::Retry([&] { return recvmsg(ctx.criu.get(), &message, MSG_CMSG_CLOEXEC); });
  if (got < 0) return Status::Fail(Op::kRecvmsg, errno, "criu");
  if (got == 0) return Ended(ctx);
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int))) {
    int number;
    memcpy(&number, CMSG_DATA(header), sizeof number);
    fd.reset(number);
  }
  if ((message.msg_flags & MSG_TRUNC) != 0 || !criu::Parse(bytes.data(), static_cast<size_t>(got), response))
    return Status::Fail(Op::kVerify, EPROTO, "answer of criu");
  if (!response.success)
    return Status::Fail(Op::kCriu, static_cast<int>(response.err & 0xfff), "", static_cast<int64_t>(response.type),
                        response.message.c_str());
  return Status::Ok();
}

/// Lets CRIU go on after a notification: criu_req with type NOTIFY and notify_success.
Status Answer(HostContext& ctx) {
  constexpr uint8_t kGoOn[] = {1 << 3, criu::Response::kNotify, 3 << 3, 1};
  if (seqpacket::Send(ctx.criu.get(), kGoOn, sizeof kGoOn) < 0)
    return errno == EPIPE || errno == ECONNRESET ? Ended(ctx) : Status::Fail(Op::kSendmsg, errno, "criu");
  ctx.criu_waiting = false;
  return Status::Ok();
}

/// What is to be done about a notification wherever it comes.
Status Heed(HostContext& ctx, const abi::CriuWait& step, const criu::Response& response, const UniqueFd& fd) {
  if (response.script == "orphan-pts-master" && fd.valid() && !step.console.none()) {
    constexpr char kName[] = "/dev/ptmx";
    return SendFd(ctx.slots.get(step.console), fd.get(), kName, sizeof kName - 1, "terminal");
  }
  if (response.script == "status-ready" && step.status_fd != 0) {
    const char zero = '\0';
    if (sys::Retry([&] { return write(static_cast<int>(step.status_fd), &zero, 1); }) != 1)
      return Status::Fail(Op::kWrite, errno, "status descriptor", static_cast<int64_t>(step.status_fd));
  }
  return Status::Ok();
}

/// The restored process is a child of ours (rst_sibling), so its number stays its own until we reap it.
Status Adopt(HostContext& ctx, uint64_t pid) {
  if (pid == 0 || pid > INT32_MAX) return Status::Fail(Op::kVerify, EPROTO, "pid of the restored process");
  UniqueFd pidfd(sys::PidfdOpen(static_cast<int>(pid), 0));
  if (!pidfd.valid()) return Status::Fail(Op::kPidfdOpen, errno, "restored process");
  ctx.criu_pidfd = std::move(ctx.pidfd);
  ctx.pidfd = std::move(pidfd);
  ctx.pid = static_cast<pid_t>(pid);
  return Status::Ok();
}

} // namespace

Status Run(HostContext& ctx, const abi::CriuConnect& step) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return Status::Fail(Op::kSocket, errno, "criu");
  ctx.criu.reset(ends[0]);
  ctx.criu_waiting = false;
  ctx.slots.put(step.slot, UniqueFd(ends[1]));
  ctx.undo.emplace_back([&ctx] { ctx.criu.reset(); });
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::CriuRequest& step) {
  // Or we would not see the end of CRIU's.
  ctx.slots.put(step.slot, UniqueFd());
  ctx.undo.emplace_back([&ctx] { GiveUp(ctx); });
  if (seqpacket::Send(ctx.criu.get(), step.request.data, step.request.size) < 0)
    return errno == EPIPE || errno == ECONNRESET ? Ended(ctx) : Status::Fail(Op::kSendmsg, errno, "criu");
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::CriuWait& step) {
  ctx.undo.emplace_back([&ctx] { GiveUp(ctx); });
  for (;;) {
    if (ctx.criu_waiting) TSRUN_TRY(Answer(ctx));
    criu::Response response;
    UniqueFd fd;
    TSRUN_TRY(Receive(ctx, response, fd));
    if (response.type != criu::Response::kNotify) {
      // After the memory it waits for another request, and complains when there is none.
      if (response.type == criu::Response::kPreDump) sys::PidfdSendSignal(CriuPidfd(ctx), SIGKILL);
      if (step.script.empty()) return Reap(ctx);
      return Status::Fail(Op::kVerify, EPROTO, step.script.data, 0, "criu ended before it came to this point");
    }
    ctx.criu_waiting = true;
    TSRUN_TRY(Heed(ctx, step, response, fd));
    if (response.script != step.script.data) continue;
    return step.adopt ? Adopt(ctx, response.pid) : Status::Ok();
  }
}

} // namespace tsrun
