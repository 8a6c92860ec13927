#include "addon/exec/host_context.h"
#include "addon/steps/hook_run.h"

namespace tsrun {

Status Run(HostContext& ctx, const abi::HookRun& step) {
  return RunHook(step, ctx.pid > 0 ? static_cast<uint64_t>(ctx.pid) : 0);
}

} // namespace tsrun
