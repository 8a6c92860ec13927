#include "addon/base/send_fd.h"
#include "addon/exec/host_context.h"
#include "addon/steps/unix_path_host.h"

namespace tsrun {

Status Run(HostContext& ctx, const abi::PidfdSend& step) {
  UniqueFd fd;
  TSRUN_TRY(ConnectPath(step.path.data, fd));
  // The name that runc's receivers expect for a container's init.
  constexpr char kName[] = "pidfd";
  return SendFd(fd.get(), ctx.pidfd.get(), kName, sizeof kName - 1, step.path.data);
}

} // namespace tsrun
