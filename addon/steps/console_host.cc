#include "addon/exec/host_context.h"
#include "addon/steps/unix_path_host.h"

namespace tsrun {

Status Run(HostContext& ctx, const abi::ConsoleConnect& step) {
  UniqueFd fd;
  TSRUN_TRY(ConnectPath(step.path.data, fd));
  ctx.slots.put(step.slot, static_cast<UniqueFd&&>(fd));
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::ConsolePair& step) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return Status::Fail(Op::kSocket, errno, "console");
  ctx.console.reset(ends[0]);
  ctx.slots.put(step.slot, UniqueFd(ends[1]));
  ctx.undo.emplace_back([&ctx] { ctx.console.reset(); });
  return Status::Ok();
}

} // namespace tsrun
