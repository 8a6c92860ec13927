// What the host makes of tsrun-init's end, by how its end of the sync socket looks then.
#include <sys/socket.h>
#include <sys/wait.h>

#include <csignal>
#include <memory>

#include "addon/base/seqpacket.h"
#include "addon/base/test.h"
#include "addon/exec/host_context.h"

using namespace tsrun;

namespace {

/// A child in tsrun-init's place, which holds its end of the sync socket and reads nothing; with the reports of a plan
/// whose last step is process.exec.
struct Peer {
  HostContext ctx;
  std::unique_ptr<char[]> memory;

  /// `says`: sent by the child at once, when there is something to say.
  explicit Peer(const Message* says = nullptr) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) abort();
    const pid_t child = fork();
    if (child < 0) abort();
    if (child == 0) {
      close(pair[0]);
      if (says != nullptr) (void)seqpacket::Send(pair[1], says, sizeof *says);
      for (;;)
        pause();
    }
    close(pair[1]);
    ctx.sync.reset(pair[0]);
    ctx.pid = child;
    ctx.pidfd.reset(sys::PidfdOpen(child, 0));
    memory = std::make_unique<char[]>(sizeof(Control) + 2 * sizeof(StepReport));
    ctx.control = reinterpret_cast<Control*>(memory.get());
    ctx.host_steps = ctx.container_steps = 1;
    // What the other side could write there is not looked at.
    ctx.control->host_steps = ctx.control->container_steps = UINT32_MAX / 2;
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() { waitpid(ctx.pid, nullptr, 0); }

  StepState& exec_state() { return ctx.control->reports[1].state; }

  /// A message that is never read, then the end: the kernel says ECONNRESET in place of the end of file.
  void EndWithUnread() {
    const Message message{};
    if (seqpacket::Send(ctx.sync.get(), &message, kShortMessage) < 0) abort();
    End();
  }
  void End() {
    kill(ctx.pid, SIGKILL);
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(ctx.pid), &info, WEXITED | WNOWAIT) != 0) abort();
  }
};

bool WasKilled(const Status& status) {
  return status.op == Op::kKilled && status.detail == SIGKILL && strcmp(status.path, "tsrun-init") == 0;
}

} // namespace

TEST(AnEndIsToldAsHowItEnded) {
  Peer peer;
  peer.End();
  Message message;
  CHECK(WasKilled(ReceiveMessage(peer.ctx, message)));
}

TEST(AnEndBeforeItReadOurMessageIsToldAsHowItEnded) {
  Peer peer;
  peer.EndWithUnread();
  Message message;
  CHECK(WasKilled(ReceiveMessage(peer.ctx, message)));
}

TEST(WhatItSaidLastCountsMoreThanWhatItDidNotRead) {
  Message failure{};
  failure.type = MessageType::kFailure;
  failure.failure.err = ENOENT;
  Peer peer(&failure);
  // Wait for what it says, which stays to be read.
  char byte;
  recv(peer.ctx.sync.get(), &byte, 1, MSG_PEEK);
  peer.EndWithUnread();
  Message message;
  CHECK(ReceiveMessage(peer.ctx, message).op == Op::kPeer);
  CHECK(peer.ctx.container_failed && peer.ctx.container_failure.err == ENOENT);
}

TEST(TextsThatDoNotEndAreEnded) {
  Message failure{};
  failure.type = MessageType::kFailure;
  memset(failure.failure.path, 'p', sizeof failure.failure.path);
  memset(failure.failure.text, 't', sizeof failure.failure.text);
  Peer peer(&failure);
  Message message;
  CHECK(ReceiveMessage(peer.ctx, message).op == Op::kPeer);
  CHECK(strnlen(peer.ctx.container_failure.path, Status::kPathBytes) == Status::kPathBytes - 1);
  CHECK(strnlen(peer.ctx.container_failure.text, Status::kTextBytes) == Status::kTextBytes - 1);
  peer.End();
}

TEST(OurDeathIsNobodysToAskForButATests) {
  Message fault{};
  fault.type = MessageType::kFault;
  Peer peer(&fault);
  Message message;
  CHECK(ReceiveMessage(peer.ctx, message).op == Op::kVerify);
  peer.End();
}

TEST(AnEndBeforeExecveIsNoExecve) {
  for (const bool unread : {false, true}) {
    Peer peer;
    alignas(8) const char record[sizeof(abi::RecordHeader)] = {};
    if (unread)
      peer.EndWithUnread();
    else
      peer.End();
    CHECK(WasKilled(Run(peer.ctx, abi::ProcessWaitExec(abi::Record(record)))));
  }
}

TEST(AnEndOfTheSocketInExecveIsTheProgramsStart) {
  Peer peer;
  alignas(8) const char record[sizeof(abi::RecordHeader)] = {};
  peer.exec_state() = StepState::kRunning;
  peer.EndWithUnread();
  CHECK(Run(peer.ctx, abi::ProcessWaitExec(abi::Record(record))).ok());
  CHECK(!peer.ctx.sync.valid());
}

RUN_TESTS()
