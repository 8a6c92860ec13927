#include <sys/syscall.h>

#include "addon/base/sys.h"
#include "addon/exec/init_context.h"
#include "addon/steps/hook_run.h"

namespace tsrun {

/// config.md, State: a hook in the container's namespaces gets the pid as the container sees it.
Status Run(InitContext& ctx, const abi::HookRun& step) {
  return RunHook(step, static_cast<uint64_t>(syscall(SYS_getpid)), ctx.slots.get(step.out), ctx.slots.get(step.err));
}

} // namespace tsrun
