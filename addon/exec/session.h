#pragma once
#include <csignal>
#include <memory>
#include <utility>

#include "addon/exec/host_context.h"

namespace tsrun {

/// What became of a plan.
struct Outcome {
  bool failed = false;
  Failure failure{};
  pid_t pid = -1;
  std::vector<StepReport> host;
  std::vector<StepReport> container;
};

/// How the container's process ended.
struct ExitStatus {
  bool killed = false;
  int value = 0; // exit status or signal
};

/// Runs plans for one container, in whatever process holds it (the CLI's addon, later a launcher or a shim). Nothing
/// here knows Node. One after another: create, then in the foreground start and attach.
class Session {
public:
  explicit Session(std::string init_path);
  ~Session();

  /// Verifies and runs a plan. On failure everything this plan did is undone before it returns.
  Outcome Execute(const char* plan, size_t bytes, const Fault& fault);

  /// The container is recorded: keeps what was done and lets tsrun-init wait at its gate on its own.
  Status Commit();

  /// Undoes what the last plan did.
  void Rollback();

  /// From now on processes that the container leaves become our children (PR_SET_CHILD_SUBREAPER), and Attach reaps
  /// them: for one that has no pid namespace of its own, whose init would do that. Before the start. Attach then reaps
  /// every child, so the process must wait for none of its own meanwhile.
  Status AdoptOrphans();

  /// From now on signals that the caller gets are kept for Attach. Before the start, so that none is lost.
  Status WatchSignals();

  /// Foreground: forwards signals, relays the terminal of console.pair, waits until the process ends and reaps it. What
  /// it says to the socket of notify.listen is told at `notify_address`, with our own pid as the service's: a failure
  /// of that is in `notified`.
  Status Attach(const std::string& notify_address, ExitStatus& exit, Status& notified);

  /// Reports of a plan's container steps that ran after Execute returned (after the gate).
  std::vector<StepReport> ContainerReports() const;

private:
  Status Prepare(const char* plan, size_t bytes, const Fault& fault);
  void Unmap();
  /// Handles a signal by keeping it for Attach, until ForgetSignals.
  Status Handle(int signal);
  void ForgetSignals();
  void ForgetOrphans();

  HostContext ctx_;
  std::vector<std::pair<int, struct sigaction>> handled_; // and what was done about each before
  bool reaping_ = false;                                  // AdoptOrphans
  int was_subreaper_ = 0;                                 // and before it
};

} // namespace tsrun
