// What a session leaves of the process's signal handlers: others in the process, such as libuv, rely on theirs.
#include <sys/prctl.h>
#include <sys/wait.h>

#include <csignal>
#include <memory>

#include "addon/base/sys.h"
#include "addon/base/test.h"
#include "addon/exec/session.h"

using tsrun::Session;

namespace {

volatile sig_atomic_t g_heard = 0;
void Hear(int) {
  g_heard = 1;
}

using Handler = void (*)(int);
Handler Now(int signal) {
  struct sigaction action {};
  sigaction(signal, nullptr, &action);
  return action.sa_handler;
}

int Subreaper() {
  int value = -1;
  prctl(PR_GET_CHILD_SUBREAPER, &value, 0, 0, 0);
  return value;
}

} // namespace

TEST(HandlersArePutBack) {
  signal(SIGTERM, Hear);
  {
    Session session("");
    CHECK(session.WatchSignals().ok());
    CHECK(session.AdoptOrphans().ok());
    CHECK(Now(SIGTERM) != Hear && Now(SIGHUP) != SIG_DFL && Now(SIGCHLD) != SIG_DFL);
    CHECK(Subreaper() == 1);
  }
  CHECK(Now(SIGTERM) == Hear);
  CHECK(Now(SIGHUP) == SIG_DFL && Now(SIGCHLD) == SIG_DFL);
  CHECK(Subreaper() == 0);
  signal(SIGTERM, SIG_DFL);
}

TEST(HandlersThatOthersHaveSetSinceStay) {
  {
    Session session("");
    CHECK(session.WatchSignals().ok());
    CHECK(session.AdoptOrphans().ok());
    signal(SIGCHLD, Hear); // as libuv for the first child of Node's
    signal(SIGTERM, SIG_IGN);
  }
  CHECK(Now(SIGCHLD) == Hear);
  CHECK(Now(SIGTERM) == SIG_IGN);
  signal(SIGCHLD, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
}

TEST(WhoWaitedForChildrenIsToldOfEndsThatItMissed) {
  signal(SIGCHLD, Hear);
  {
    Session session("");
    CHECK(session.AdoptOrphans().ok());
    g_heard = 0;
    const pid_t child = fork();
    if (child == 0) _exit(0);
    // By its return its parent has had the signal.
    CHECK(tsrun::sys::Retry([&] { return waitpid(child, nullptr, 0); }) == child);
    CHECK(g_heard == 0);
  }
  CHECK(g_heard == 1);
  signal(SIGCHLD, SIG_DFL);
}

TEST(SessionsMayEndInAnyOrder) {
  for (const int first : {0, 1}) {
    std::unique_ptr<Session> sessions[] = {std::make_unique<Session>(""), std::make_unique<Session>("")};
    for (const auto& session : sessions) {
      CHECK(session->WatchSignals().ok());
      CHECK(session->AdoptOrphans().ok());
    }
    sessions[first].reset();
    sessions[1 - first].reset();
    CHECK(Now(SIGTERM) == SIG_DFL && Now(SIGCHLD) == SIG_DFL);
  }
}

RUN_TESTS()
