#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "addon/base/sys.h"
#include "addon/exec/init_context.h"
#include "addon/steps/procfs_init.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

namespace tsrun {
namespace {

/// setns to one's own user namespace is EINVAL; a path that names it asks for nothing.
bool IsOwnUserNamespace(int fd) {
  struct stat theirs, own;
  return fstat(fd, &theirs) == 0 && stat("/proc/self/ns/user", &own) == 0 && theirs.st_dev == own.st_dev &&
         theirs.st_ino == own.st_ino;
}

} // namespace

Status Run(InitContext& ctx, const abi::NsJoin& step) {
  const int fd = ctx.slots.get(step.slot);
  const bool joined = setns(fd, static_cast<int>(step.types)) == 0;
  const int err = joined ? 0 : errno;
  const bool own = err == EINVAL && step.types == CLONE_NEWUSER && IsOwnUserNamespace(fd);
  ctx.slots.put(step.slot, UniqueFd());
  if (joined || own) return Status::Ok();
  return Status::Fail(Op::kSetns, err, "", static_cast<int64_t>(step.types));
}

Status Run(InitContext&, const abi::NsUnshare& step) {
  const uid_t caller = geteuid(); // afterwards it is nobody's
  if (unshare(static_cast<int>(step.types)) != 0)
    return Status::Fail(Op::kUnshare, errno, "", static_cast<int64_t>(step.types));
  // Files of a non-dumpable process belong to root: without privilege tsrun could not write our maps. Until
  // identity.becomeRoot; nobody else is in our namespaces, and to the caller's own processes we hide nothing. Root
  // needs no such moment, in which a container that it has joined could trace it (CVE-2016-9962).
  if ((step.types & CLONE_NEWUSER) != 0 && caller != 0 && prctl(PR_SET_DUMPABLE, 1) != 0)
    return Status::Fail(Op::kPrctl, errno, "PR_SET_DUMPABLE");
  return Status::Ok();
}

Status Run(InitContext& ctx, const abi::NsTimeOffsets& step) {
  int proc;
  TSRUN_TRY(OpenProc(ctx, proc));
  // The file of a non-dumpable process belongs to the initial namespace's root, which a user namespace's root is not.
  // Nobody else is in our namespaces yet who could use the moment.
  const int dumpable = prctl(PR_GET_DUMPABLE);
  prctl(PR_SET_DUMPABLE, 1);
  UniqueFd file(openat(proc, "self/timens_offsets", O_WRONLY | O_CLOEXEC));
  const int open_err = errno;
  prctl(PR_SET_DUMPABLE, dumpable);
  if (!file.valid()) return Status::Fail(Op::kOpen, open_err, "/proc/self/timens_offsets");
  // In one write: the kernel takes up to two lines at once.
  if (sys::Retry([&] { return write(file.get(), step.offsets.data, step.offsets.size); }) < 0)
    return Status::Fail(Op::kWrite, errno, "/proc/self/timens_offsets");
  return Status::Ok();
}

} // namespace tsrun
