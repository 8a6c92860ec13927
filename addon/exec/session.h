#pragma once
#include <memory>

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

  /// From now on signals that the caller gets are kept for Attach. Before the start, so that none is lost.
  Status WatchSignals();

  /// Foreground: forwards signals, relays the terminal of console.pair, waits until the process ends and reaps it.
  Status Attach(ExitStatus& exit);

  /// Reports of a plan's container steps that ran after Execute returned (after the gate).
  std::vector<StepReport> ContainerReports() const;

private:
  Status Prepare(const char* plan, size_t bytes, const Fault& fault);
  void Unmap();

  HostContext ctx_;
  UniqueFd signals_; // read end of the pipe that the handlers write to
};

} // namespace tsrun
