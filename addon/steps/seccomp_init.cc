#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "addon/exec/init_context.h"

namespace tsrun {

Status Run(InitContext& ctx, const abi::SeccompLoad& step) {
  const int fd = ctx.slots.get(step.slot);
  struct stat st;
  if (fstat(fd, &st) != 0) return Status::Fail(Op::kFstat, errno, "filter");
  const auto bytes = static_cast<size_t>(st.st_size);
  if (bytes == 0 || bytes % sizeof(sock_filter) != 0 || bytes > BPF_MAXINSNS * sizeof(sock_filter))
    return Status::Fail(Op::kVerify, EINVAL, "filter", st.st_size);
  void* mapping = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  if (mapping == MAP_FAILED) return Status::Fail(Op::kMmap, errno, "filter");
  const sock_fprog program = {.len = static_cast<unsigned short>(bytes / sizeof(sock_filter)),
                              .filter = static_cast<sock_filter*>(mapping)}; // the kernel reads only
  // Nothing after it that the filter might forbid: the mapping goes with execve.
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, static_cast<unsigned>(step.flags), &program) != 0)
    return Status::Fail(Op::kSeccomp, errno, "SECCOMP_SET_MODE_FILTER", static_cast<int64_t>(step.flags));
  return Status::Ok();
}

} // namespace tsrun
