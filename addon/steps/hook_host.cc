#include <fcntl.h>

#include "addon/exec/host_context.h"
#include "addon/steps/hook_run.h"

namespace tsrun {

Status Run(HostContext& ctx, const abi::HookRun& step) {
  return RunHook(step, ctx.pid > 0 ? static_cast<uint64_t>(ctx.pid) : 0, ctx.slots.get(step.out),
                 ctx.slots.get(step.err));
}

Status Run(HostContext& ctx, const abi::FileAppend& step) {
  UniqueFd file(open(step.path.data, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600));
  if (!file.valid()) return Status::Fail(Op::kOpen, errno, step.path.data);
  ctx.slots.put(step.slot, std::move(file));
  return Status::Ok();
}

} // namespace tsrun
