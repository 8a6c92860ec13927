#include <sys/stat.h>

#include "addon/base/sys.h"
#include "addon/exec/init_context.h"
#include "addon/steps/in_root_init.h"

namespace tsrun {

Status Run(InitContext& ctx, const abi::FsSymlink& step) {
  UniqueFd parent;
  const char* name;
  TSRUN_TRY(in_root::OpenParent(ctx.root.get(), step.path.data, parent, name));
  if (step.replace && unlinkat(parent.get(), name, 0) != 0 && errno != ENOENT)
    return Status::Fail(Op::kUnlinkat, errno, step.path.data);
  if (symlinkat(step.target.data, parent.get(), name) != 0 && (errno != EEXIST || step.replace))
    return Status::Fail(Op::kSymlinkat, errno, step.path.data);
  return Status::Ok();
}

Status Run(InitContext& ctx, const abi::FsMkdir& step) {
  UniqueFd directory;
  bool existed;
  return in_root::OpenOrMake(ctx.root.get(), step.path.data, in_root::Kind::kDirectory,
                             static_cast<mode_t>(step.mode & 07777), in_root::Links::kFollow, directory, existed);
}

} // namespace tsrun
