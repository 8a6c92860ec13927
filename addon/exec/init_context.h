#pragma once
#include "addon/exec/shared.h"
#include "addon/exec/slots.h"

namespace tsrun {

/// What the container's steps share, in tsrun-init. Single-threaded, static, no allocation: steps use their stack.
struct InitContext {
  Slots slots;
  UniqueFd sync; // socket to the host, until the gate
  UniqueFd gate; // connection of start, from gate.wait on: failures go there, its end of file says that execve worked
  UniqueFd root; // the container's root mount (O_PATH), from root.bind on; later targets are resolved inside it
  UniqueFd proc; // a procfs of our own, opened by the step that needs it first
  UniqueFd null_device;    // the container's /dev/null, verified, likewise
  UniqueFd empty;          // the mount that hides the first masked directory: the others get copies of it
  bool cwd_denied = false; // process.cwd as root got EACCES: the one as the user tries again
  uint32_t host_pid = 0;   // the container's pid as the host sees it; known after the first sync.wait
};

/// Every container step is one overload of Run, in addon/steps/*_init.cc (or *.cc when the host has it too).
#define TSRUN_DECLARE(Kind) Status Run(InitContext& ctx, const abi::Kind& step);
TSRUN_CONTAINER_STEPS(TSRUN_DECLARE)
#undef TSRUN_DECLARE

} // namespace tsrun
