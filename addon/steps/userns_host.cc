#include "addon/base/sys.h"
#include "addon/exec/host_context.h"

namespace tsrun {
namespace {

/// One write: the kernel takes a map whole or not at all, and only once.
Status WriteFile(int dir, const char* name, const abi::Str& text) {
  UniqueFd file(openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) return Status::Fail(Op::kOpen, errno, name);
  if (sys::Retry([&] { return write(file.get(), text.data, text.size); }) < 0)
    return Status::Fail(Op::kWrite, errno, name);
  return Status::Ok();
}

} // namespace

Status Run(HostContext& ctx, const abi::UsernsMap& step) {
  // The process is our child and not reaped, so the pid is its own as long as we hold it.
  char path[32] = "/proc/";
  sys::FormatU64(static_cast<uint64_t>(ctx.pid), path + 6);
  UniqueFd dir(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!dir.valid()) return Status::Fail(Op::kOpen, errno, path);
  // Without privilege gid_map may only be written after setgroups is denied (user_namespaces(7), CVE-2014-8989).
  if (step.deny_setgroups) TSRUN_TRY(WriteFile(dir.get(), "setgroups", {"deny", 4}));
  TSRUN_TRY(WriteFile(dir.get(), "uid_map", step.uid_map));
  return WriteFile(dir.get(), "gid_map", step.gid_map);
}

} // namespace tsrun
