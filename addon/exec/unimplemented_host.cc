// Weak stand-ins for steps whose file is not written yet; a strong definition in addon/steps replaces each.
#include "addon/exec/host_context.h"
namespace tsrun {
#define TSRUN_WEAK(Kind)                                                                                               \
  [[gnu::weak]] Status Run(HostContext&, const abi::Kind&) {                                                           \
    return Status::Fail(Op::kVerify, ENOSYS, #Kind);                                                                   \
  }
TSRUN_HOST_STEPS(TSRUN_WEAK)
} // namespace tsrun
