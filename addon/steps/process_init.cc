#include <csignal>
#include <initializer_list>
#include <linux/keyctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "addon/base/sys.h"
#include "addon/exec/init_context.h"

namespace tsrun {
namespace {

/// The kernel's own struct sigaction: the C library's calls refuse the two signals that it keeps for itself.
struct KernelSigaction {
  unsigned long handler; // SIG_DFL is 0, SIG_IGN is 1
  unsigned long flags;
  unsigned long restorer;
  uint64_t mask;
};

constexpr unsigned kSignals = 64;
constexpr dev_t kDevNull = (1 << 8) | 3; // makedev(1, 3)

} // namespace

Status Run(InitContext&, const abi::ProcessSignals& step) {
  for (unsigned number = 1; number <= kSignals; number++) {
    if (number == SIGKILL || number == SIGSTOP) continue;
    const KernelSigaction action = {(step.ignored >> (number - 1)) & 1, 0, 0, 0};
    if (syscall(SYS_rt_sigaction, number, &action, nullptr, sizeof action.mask) != 0)
      return Status::Fail(Op::kVerify, errno, "rt_sigaction", number);
  }
  const uint64_t none = 0;
  if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none) != 0)
    return Status::Fail(Op::kVerify, errno, "rt_sigprocmask");
  return Status::Ok();
}

Status Run(InitContext&, const abi::ProcessSetsid&) {
  if (setsid() < 0) return Status::Fail(Op::kSetsid, errno);
  return Status::Ok();
}

Status Run(InitContext&, const abi::ProcessStdioOwner& step) {
  for (int fd = 0; fd < 3; fd++) {
    struct stat st;
    if (fstat(fd, &st) != 0) {
      if (errno == EBADF) continue; // the caller closed it
      return Status::Fail(Op::kFstat, errno, "standard stream", fd);
    }
    // By descriptor, never by name, and never the host's /dev/null (1:3), which everybody shares (CVE-2026-88265).
    if (S_ISCHR(st.st_mode) && st.st_rdev == kDevNull) continue;
    if (st.st_uid == step.uid) continue;
    if (fchown(fd, static_cast<uid_t>(step.uid), static_cast<gid_t>(-1)) == 0) continue;
    // EINVAL: an owner that the user namespace does not map. EPERM, EROFS: not ours to give, as runc sees it.
    if (errno != EINVAL && errno != EPERM && errno != EROFS)
      return Status::Fail(Op::kFchown, errno, "standard stream", fd);
  }
  return Status::Ok();
}

Status Run(InitContext&, const abi::ProcessNoNewPrivileges&) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Status::Fail(Op::kPrctl, errno, "PR_SET_NO_NEW_PRIVS");
  return Status::Ok();
}

Status Run(InitContext&, const abi::ProcessPersonality& step) {
  // All bits are a question about the present one, not a persona.
  if (step.persona >= UINT32_MAX) return Status::Fail(Op::kVerify, ERANGE, "persona");
  if (syscall(SYS_personality, step.persona) < 0)
    return Status::Fail(Op::kPersonality, errno, "", static_cast<int64_t>(step.persona));
  return Status::Ok();
}

Status Run(InitContext&, const abi::ProcessMemoryPolicy& step) {
  // The kernel takes one bit less than it is told of.
  const uint64_t bits = step.nodes.size == 0 ? 0 : uint64_t{step.nodes.size} * 64 + 1;
  if (syscall(SYS_set_mempolicy, step.mode, step.nodes.size == 0 ? nullptr : step.nodes.data, bits) != 0)
    return Status::Fail(Op::kSetMempolicy, errno);
  return Status::Ok();
}

Status Run(InitContext& ctx, const abi::ProcessCwd& step) {
  if (step.as_user && !ctx.cwd_denied) return Status::Ok(); // done as root; the container's filter may be in force now
  if (chdir(step.path.data) != 0) {
    if (step.as_user || errno != EACCES) return Status::Fail(Op::kChdir, errno, step.path.data);
    ctx.cwd_denied = true;
    return Status::Ok();
  }
  // A directory outside the root, reached through a descriptor of the host's, has no path here: the kernel says
  // "(unreachable)…" (CVE-2024-21626).
  char cwd[4096];
  const long got = syscall(SYS_getcwd, cwd, sizeof cwd);
  if (got < 0) return Status::Fail(Op::kVerify, errno, step.path.data, 0, "current directory cannot be named");
  if (cwd[0] != '/') return Status::Fail(Op::kVerify, EXDEV, step.path.data, 0, "outside of the container's root");
  return Status::Ok();
}

Status Run(InitContext& ctx, const abi::FdsCloseOnExec& step) {
  // What the set-up needed, and what comes after it does not. A tsrun-init that waits at its gate is seen by those who
  // share its pid namespace; with CAP_SYS_PTRACE they would get at a procfs that nothing is masked in.
  for (UniqueFd* fd : {&ctx.root, &ctx.proc, &ctx.null_device, &ctx.empty})
    fd->reset();
  constexpr unsigned kCloexec = 4; // CLOSE_RANGE_CLOEXEC, Linux 5.11
  const auto first = static_cast<unsigned>(step.first);
  if (sys::CloseRange(first, ~0u, kCloexec) == 0) return Status::Ok();
  if (errno != EINVAL && errno != ENOSYS) return Status::Fail(Op::kCloseRange, errno);
  // Linux 5.10: one by one. All of ours are close-on-exec anyhow; this is for what we inherited.
  constexpr int kHighest = 1 << 20; // fs.nr_open's default
  int gap = 0;
  for (int fd = static_cast<int>(first); fd < kHighest && gap < 65536; fd++)
    gap = fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? 0 : gap + 1;
  return Status::Ok();
}

Status Run(InitContext&, const abi::KeyringJoin& step) {
  const long ring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, step.name.data);
  if (ring < 0) {
    if (errno == ENOSYS) return Status::Ok(); // a kernel without keyrings has none to hide
    return Status::Fail(Op::kKeyctl, errno, step.name.data);
  }
  // "type;uid;gid;perm;description", perm in hexadecimal.
  char description[512];
  const long size = syscall(SYS_keyctl, KEYCTL_DESCRIBE, ring, description, sizeof description - 1);
  if (size < 0) return Status::Fail(Op::kKeyctl, errno, step.name.data);
  description[static_cast<size_t>(size) < sizeof description ? static_cast<size_t>(size) : sizeof description - 1] =
      '\0';
  const char* at = description;
  for (int field = 0; field < 3 && at != nullptr; field++) {
    at = strchr(at, ';');
    if (at != nullptr) at++;
  }
  if (at == nullptr) return Status::Fail(Op::kVerify, EINVAL, step.name.data);
  uint32_t permissions = 0;
  for (; *at != ';' && *at != '\0'; at++) {
    const unsigned digit =
        *at <= '9' ? static_cast<unsigned>(*at - '0') : static_cast<unsigned>((*at | 0x20) - 'a' + 10);
    permissions = permissions * 16 + (digit & 15);
  }
  if (syscall(SYS_keyctl, KEYCTL_SETPERM, ring, permissions | static_cast<uint32_t>(step.permissions)) != 0)
    return Status::Fail(Op::kKeyctl, errno, step.name.data);
  return Status::Ok();
}

Status Run(InitContext&, const abi::UtsHostname& step) {
  if (sethostname(step.name.data, step.name.size) != 0) return Status::Fail(Op::kSethostname, errno, step.name.data);
  return Status::Ok();
}

Status Run(InitContext&, const abi::UtsDomainname& step) {
  if (setdomainname(step.name.data, step.name.size) != 0)
    return Status::Fail(Op::kSetdomainname, errno, step.name.data);
  return Status::Ok();
}

} // namespace tsrun
