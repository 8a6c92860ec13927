#pragma once
#include <functional>
#include <vector>

#include "addon/exec/shared.h"
#include "addon/exec/slots.h"

namespace tsrun {

/// What the host's steps share, in the process that runs the plan.
struct HostContext {
  Slots slots;
  UniqueFd sync;  // socket to tsrun-init
  pid_t pid = -1; // the container's process, a child of ours
  UniqueFd pidfd;
  UniqueFd console; // our end of console.pair
  bool reaped = false;

  /// Undoing, newest first, when a later step fails or the caller rolls back. An undo reports nothing: what it cannot
  /// clean, the journal still names.
  std::vector<std::function<void()>> undo;
};

/// Every host step is one overload of Run, in addon/steps/*_host.cc (or *.cc when tsrun-init has it too).
#define TSRUN_DECLARE(Kind) Status Run(HostContext& ctx, const abi::Kind& step);
TSRUN_HOST_STEPS(TSRUN_DECLARE)
#undef TSRUN_DECLARE

} // namespace tsrun
