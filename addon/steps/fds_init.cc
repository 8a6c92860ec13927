#include <fcntl.h>
#include <unistd.h>

#include "addon/exec/init_context.h"

namespace tsrun {

Status Run(InitContext& ctx, const abi::FdsPlace& step) {
  const int number = static_cast<int>(step.number);
  // One of ours would be lost, perhaps the socket that tells of failures.
  if (fcntl(number, F_GETFD) >= 0) return Status::Fail(Op::kVerify, EBUSY, "descriptor", number, "its number is taken");
  if (dup2(ctx.slots.get(step.slot), number) < 0) return Status::Fail(Op::kFcntl, errno, "descriptor", number);
  return Status::Ok();
}

} // namespace tsrun
