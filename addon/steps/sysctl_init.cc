#include "addon/steps/procfs_init.h"

namespace tsrun {

Status Run(InitContext& ctx, const abi::SysctlWrite& step) {
  int proc;
  TSRUN_TRY(OpenProc(ctx, proc));
  char path[256] = "sys/";
  constexpr size_t kPrefix = 4;
  if (step.key.size >= sizeof path - kPrefix) return Status::Fail(Op::kLimit, ENAMETOOLONG, step.key.data);
  // Dots separate the components; a slash stands for a dot inside one (sysctl(8)).
  for (uint32_t i = 0; i <= step.key.size; i++) {
    const char c = step.key.data[i];
    path[kPrefix + i] = c == '.' ? '/' : c == '/' ? '.' : c;
  }
  // NO_XDEV: when it is the container's /proc, a file of it may have been mounted over.
  UniqueFd file(sys::Openat2(proc, path, O_WRONLY | O_CLOEXEC, 0,
                             RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV));
  if (!file.valid()) return Status::Fail(Op::kOpenat2, errno, path);
  if (sys::Retry([&] { return write(file.get(), step.value.data, step.value.size); }) < 0)
    return Status::Fail(Op::kWrite, errno, path);
  return Status::Ok();
}

} // namespace tsrun
