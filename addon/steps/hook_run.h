#pragma once
#include "addon/abi/plan.gen.h"
#include "addon/base/status.h"

namespace tsrun {

/// Runs one hook and waits for it. `pid` is the container's, as the hook is to see it; its output goes to the
/// descriptors, or, where they are -1, its end into a failure. Allocates nothing, so that both sides use it. Failures:
/// Op::kExecve (it could not be executed), Op::kExited with the status in `detail`, Op::kKilled with the signal,
/// Op::kTimeout with the milliseconds; `path` is the hook's and `text` the end of its output.
Status RunHook(const abi::HookRun& step, uint64_t pid, int stdout_fd, int stderr_fd);

} // namespace tsrun
