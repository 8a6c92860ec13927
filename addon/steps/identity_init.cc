#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "addon/base/sys.h"
#include "addon/exec/init_context.h"

namespace tsrun {
namespace {

// Raw system calls: the C library's wrappers would look for threads to change too, and pull code into tsrun-init.
long SetGroups(size_t count, const gid_t* groups) {
  return syscall(SYS_setgroups, count, groups);
}
long SetResGid(gid_t gid) {
  return syscall(SYS_setresgid, gid, gid, gid);
}
long SetResUid(uid_t uid) {
  return syscall(SYS_setresuid, uid, uid, uid);
}

constexpr uint64_t kLastCapability = 63;

/// setgroups wants gid_t, the plan has u64: converted on the stack, up to the kernel's NGROUPS_MAX.
Status SetPlanGroups(const abi::U64s& groups) {
  constexpr uint32_t kMaxGroups = 65536;
  static gid_t list[kMaxGroups]; // in .bss: untouched pages cost nothing
  if (groups.size > kMaxGroups) return Status::Fail(Op::kLimit, EINVAL, "groups");
  for (uint32_t i = 0; i < groups.size; i++) {
    if (groups[i] >= UINT32_MAX) return Status::Fail(Op::kVerify, EINVAL, "group");
    list[i] = static_cast<gid_t>(groups[i]);
  }
  if (SetGroups(groups.size, list) != 0) return Status::Fail(Op::kSetgroups, errno);
  return Status::Ok();
}

} // namespace

Status Run(InitContext&, const abi::IdentityBecomeRoot&) {
  // Groups of the caller are dropped where that is allowed; identity.set sets the container's.
  if (SetGroups(0, nullptr) != 0 && errno != EPERM) return Status::Fail(Op::kSetgroups, errno);
  if (SetResGid(0) != 0) return Status::Fail(Op::kSetresgid, errno, "0");
  if (SetResUid(0) != 0) return Status::Fail(Op::kSetresuid, errno, "0");
  // The maps are written (ns.unshare).
  if (prctl(PR_SET_DUMPABLE, 0) != 0) return Status::Fail(Op::kPrctl, errno, "PR_SET_DUMPABLE");
  return Status::Ok();
}

Status Run(InitContext&, const abi::IdentitySet& step) {
  // (uid_t)-1 means "as it is" to the kernel: with it we would quietly stay root.
  if (step.uid >= UINT32_MAX || step.gid >= UINT32_MAX) return Status::Fail(Op::kVerify, EINVAL, "uid or gid");
  umask(static_cast<mode_t>(step.umask & 0777));
  // The change from root to another uid clears the permitted set without this; caps.apply ends it.
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return Status::Fail(Op::kPrctl, errno, "PR_SET_KEEPCAPS");
  if (step.set_groups) TSRUN_TRY(SetPlanGroups(step.groups));
  if (SetResGid(static_cast<gid_t>(step.gid)) != 0) return Status::Fail(Op::kSetresgid, errno);
  if (SetResUid(static_cast<uid_t>(step.uid)) != 0) return Status::Fail(Op::kSetresuid, errno);
  // Not from anyone's word but the kernel's: who are we now (CVE-2023-25173 and the like)?
  uid_t real, effective, saved;
  if (syscall(SYS_getresuid, &real, &effective, &saved) != 0 || real != step.uid || effective != step.uid ||
      saved != step.uid)
    return Status::Fail(Op::kVerify, EPERM, "uid");
  return Status::Ok();
}

Status Run(InitContext&, const abi::CapsBounding& step) {
  for (uint64_t number = 0; number <= kLastCapability; number++) {
    if (((step.keep >> number) & 1) != 0) continue;
    const int has = prctl(PR_CAPBSET_READ, number, 0, 0, 0);
    if (has < 0) break; // EINVAL: beyond the last one the kernel knows
    if (has == 1 && prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0)
      return Status::Fail(Op::kPrctl, errno, "PR_CAPBSET_DROP", static_cast<int64_t>(number));
  }
  return Status::Ok();
}

Status Run(InitContext&, const abi::CapsApply& step) {
  if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) return Status::Fail(Op::kPrctl, errno, "PR_SET_KEEPCAPS");
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const auto low = [](uint64_t mask) { return static_cast<uint32_t>(mask); };
  const auto high = [](uint64_t mask) { return static_cast<uint32_t>(mask >> 32); };
  const __user_cap_data_struct sets[2] = {
      {.effective = low(step.effective), .permitted = low(step.permitted), .inheritable = low(step.inheritable)},
      {.effective = high(step.effective), .permitted = high(step.permitted), .inheritable = high(step.inheritable)}};
  if (syscall(SYS_capset, &header, sets) != 0) return Status::Fail(Op::kCapset, errno);
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
    return Status::Fail(Op::kPrctl, errno, "PR_CAP_AMBIENT_CLEAR_ALL");
  for (uint64_t number = 0; number <= kLastCapability; number++) {
    if (((step.ambient >> number) & 1) == 0) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) != 0)
      return Status::Fail(Op::kPrctl, errno, "PR_CAP_AMBIENT_RAISE", static_cast<int64_t>(number));
  }
  return Status::Ok();
}

} // namespace tsrun
