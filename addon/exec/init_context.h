#pragma once
#include "addon/exec/shared.h"
#include "addon/exec/slots.h"

namespace tsrun {

/// What the container's steps share, in tsrun-init. Single-threaded, static, no allocation: steps use their stack.
struct InitContext {
  Slots slots;
  UniqueFd sync;         // socket to the host
  UniqueFd root;         // the container's root mount (O_PATH), from root.bind on; later targets are resolved inside it
  UniqueFd proc;         // a procfs of our own for sysctl and /proc/self, opened by OpenProc on first use
  UniqueFd old_cwd;      // unused after root.pivot
  uint32_t host_pid = 0; // the container's pid as the host sees it; known after the first sync.wait
  unsigned keep_fds_below = 3; // set by fds.closeOnExec: the program keeps descriptors below this
};

/// Every container step is one overload of Run, in addon/steps/*_init.cc (or *.cc when the host has it too).
#define TSRUN_DECLARE(Kind) Status Run(InitContext& ctx, const abi::Kind& step);
TSRUN_CONTAINER_STEPS(TSRUN_DECLARE)
#undef TSRUN_DECLARE

} // namespace tsrun
