// process.spawn and process.adopt. Between the clone and the exec there are nothing but raw system calls: the child
// shares the memory of a multi-threaded Node (CLONE_VM | CLONE_VFORK), so everything is prepared before.
#include <algorithm>
#include <csignal>
#include <linux/sched.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "addon/base/seqpacket.h"
#include "addon/exec/host_context.h"

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

namespace tsrun {
namespace {

constexpr size_t kChildStackBytes = 64 * 1024;
/// Of the thread that enters the v1 cgroups: room for the C library's and Node's thread-local data, too.
constexpr size_t kThreadStackBytes = 512 * 1024;

/// Everything the child needs, prepared by the parent; `err` comes back.
struct Child {
  int init_fd;
  const int* keep; // descriptors to be inherited, in ascending order
  size_t keep_count;
  int caller_fds_end; // 3 + keepFds: the caller's own, which Node marked close-on-exec
  char* argv[3];
  char* envp[1];
  volatile int err;
};

[[noreturn]] void ChildMain(void* argument) {
  Child& child = *static_cast<Child*>(argument);
  // All others, of which our caller may have left some open and Node unmarked: a tsrun-init that waits would hold them
  // where others look at it. They are copies of the parent's.
  auto next = static_cast<unsigned>(child.caller_fds_end);
  for (size_t i = 0; i < child.keep_count; i++) {
    const auto fd = static_cast<unsigned>(child.keep[i]);
    if (fd > next) sys::CloseRange(next, fd - 1, 0);
    if (fd >= next) next = fd + 1;
    if (child.keep[i] != child.init_fd) fcntl(child.keep[i], F_SETFD, 0);
  }
  sys::CloseRange(next, ~0u, 0);
  for (int fd = 0; fd < child.caller_fds_end; fd++)
    fcntl(fd, F_SETFD, 0);
  sys::Execveat(child.init_fd, "", child.argv, child.envp, AT_EMPTY_PATH);
  child.err = errno;
  _exit(127);
}

/// clone3 with a stack of its own for the child, which calls `fn(argument)` and never returns.
long CloneOnStack(clone_args& args, void (*fn)(void*), void* argument) {
#if defined(__x86_64__)
  register long result __asm__("rax") = SYS_clone3;
  register void* call __asm__("r12") = reinterpret_cast<void*>(fn);
  register void* data __asm__("r13") = argument;
  register long first __asm__("rdi") = reinterpret_cast<long>(&args);
  register long second __asm__("rsi") = sizeof args;
  __asm__ volatile("syscall\n\t"
                   "test %%rax, %%rax\n\t"
                   "jnz 1f\n\t"
                   "xor %%ebp, %%ebp\n\t"
                   "mov %%r13, %%rdi\n\t"
                   "call *%%r12\n\t"
                   "ud2\n"
                   "1:"
                   : "+r"(result)
                   : "r"(call), "r"(data), "r"(first), "r"(second)
                   : "rcx", "r11", "memory", "cc");
#elif defined(__aarch64__)
  register long number __asm__("x8") = SYS_clone3;
  register long result __asm__("x0") = reinterpret_cast<long>(&args);
  register long second __asm__("x1") = sizeof args;
  register void* call __asm__("x19") = reinterpret_cast<void*>(fn);
  register void* data __asm__("x20") = argument;
  __asm__ volatile("svc #0\n\t"
                   "cbnz x0, 1f\n\t"
                   "mov x29, xzr\n\t"
                   "mov x0, x20\n\t"
                   "blr x19\n\t"
                   "brk #0\n"
                   "1:"
                   : "+r"(result)
                   : "r"(number), "r"(second), "r"(call), "r"(data)
                   : "memory", "cc", "x30");
#else
#error "tsrun knows how to clone on x86_64 and aarch64"
#endif
  if (result < 0) {
    errno = static_cast<int>(-result);
    return -1;
  }
  return result;
}

/// Copies tsrun-init into a file that nobody can ever write again, so that nothing of the host is reachable through
/// /proc/self/exe in the container (CVE-2019-5736).
Status SealedInit(const std::string& path, UniqueFd& out) {
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return Status::Fail(Op::kOpen, errno, path.c_str());
  struct stat st;
  if (fstat(file.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, path.c_str());

  UniqueFd copy(memfd_create("tsrun-init", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC));
  if (!copy.valid() && errno == EINVAL) // before Linux 6.3 there was no MFD_EXEC, and none was needed
    copy.reset(memfd_create("tsrun-init", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const bool sealed = copy.valid();
  if (!sealed) {
    if (errno != EACCES) return Status::Fail(Op::kMemfdCreate, errno, "tsrun-init");
    // vm.memfd_noexec=2: an unnamed file that only this container will ever see, reopened read-only.
    copy.reset(open("/run", O_TMPFILE | O_RDWR | O_CLOEXEC, 0700));
    if (!copy.valid()) return Status::Fail(Op::kOpen, errno, "/run (O_TMPFILE, for vm.memfd_noexec=2)");
  }
  for (off_t left = st.st_size; left > 0;) {
    const ssize_t sent =
        sys::Retry([&] { return sendfile(copy.get(), file.get(), nullptr, static_cast<size_t>(left)); });
    if (sent < 0) return Status::Fail(Op::kWrite, errno, "copy of tsrun-init");
    if (sent == 0) return Status::Fail(Op::kRead, EIO, path.c_str());
    left -= sent;
  }
  if (sealed) {
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    if (fcntl(copy.get(), F_ADD_SEALS, seals | F_SEAL_EXEC) != 0 && fcntl(copy.get(), F_ADD_SEALS, seals) != 0)
      return Status::Fail(Op::kFcntl, errno, "seals of tsrun-init");
    out = std::move(copy);
    return Status::Ok();
  }
  if (fchmod(copy.get(), 0500) != 0) return Status::Fail(Op::kFchmod, errno, "copy of tsrun-init");
  const std::string again = "/proc/self/fd/" + std::to_string(copy.get());
  out.reset(open(again.c_str(), O_RDONLY | O_CLOEXEC));
  if (!out.valid()) return Status::Fail(Op::kOpen, errno, again.c_str());
  return Status::Ok();
}

/// A clone made by a thread that stands in the container's v1 cgroups.
struct CloneJob {
  const std::vector<HostContext::EnteredCgroup>& enter;
  clone_args& args;
  Child& child;
  long pid = -1;
  int err = 0;
  Status entered = Status::Ok();
};

void* EnterAndClone(void* argument) {
  CloneJob& job = *static_cast<CloneJob*>(argument);
  for (const auto& [tasks, path] : job.enter) {
    if (write(tasks.get(), "0", 1) == 1) continue;
    job.entered = Status::Fail(Op::kWrite, errno, path.c_str());
    return nullptr;
  }
  job.pid = CloneOnStack(job.args, ChildMain, &job.child);
  job.err = errno;
  return nullptr;
}

/// Moving a process into a v1 cgroup takes a lock whose writer waits for an RCU grace period (about 10 ms); a thread
/// that moves only itself does not (Linux 5.5), and its child is born where it stands. The thread ends right after the
/// clone, before anything of the container's has run. While it is there, only tsrun's thread is: neither limits that
/// count processes (pids.max comes later) nor the OOM killer (it takes whole processes) are concerned with it.
Status CloneInCgroups(CloneJob& job) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kThreadStackBytes);
  pthread_t thread;
  const int err = pthread_create(&thread, &attributes, EnterAndClone, &job);
  pthread_attr_destroy(&attributes);
  if (err != 0) return Status::Fail(Op::kPthreadCreate, err, "thread that clones");
  pthread_join(thread, nullptr);
  return job.entered;
}

/// This thread's CPUs, changed for as long as it lives.
class BorrowedCpus {
public:
  Status Set(const std::vector<uint64_t>& cpus) {
    if (cpus.empty()) return Status::Ok();
    const long size = syscall(SYS_sched_getaffinity, 0, sizeof before_, before_);
    if (size < 0) return Status::Fail(Op::kSchedSetaffinity, errno, "CPUs of tsrun");
    if (syscall(SYS_sched_setaffinity, 0, cpus.size() * sizeof(uint64_t), cpus.data()) != 0)
      return Status::Fail(Op::kSchedSetaffinity, errno, "CPUs of the spawn");
    size_ = static_cast<size_t>(size);
    return Status::Ok();
  }
  BorrowedCpus() = default;
  BorrowedCpus(const BorrowedCpus&) = delete;
  BorrowedCpus& operator=(const BorrowedCpus&) = delete;
  ~BorrowedCpus() {
    if (size_ > 0) syscall(SYS_sched_setaffinity, 0, size_, before_);
  }

private:
  uint64_t before_[128]; // 8192 CPUs, the kernel's most
  size_t size_ = 0;      // bytes of it in use
};

/// Kills and reaps whatever process of this plan lives.
void KillAndReap(HostContext& ctx) {
  ctx.sync.reset();
  if (!ctx.pidfd.valid()) return;
  sys::PidfdSendSignal(ctx.pidfd.get(), SIGKILL);
  siginfo_t info{};
  sys::Retry([&] { return waitid(P_PIDFD, static_cast<id_t>(ctx.pidfd.get()), &info, WEXITED); });
  ctx.pidfd.reset();
  ctx.pid = -1;
}

} // namespace

Status Run(HostContext& ctx, const abi::ProcessSpawn& step) {
  UniqueFd init;
  TSRUN_TRY(SealedInit(ctx.init_path, init));
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return Status::Fail(Op::kSocket, errno, "sync socket");
  UniqueFd ours(pair[0]), theirs(pair[1]);

  Control& control = *ctx.control;
  control.sync_fd = theirs.get();
  control.plan_fd = ctx.plan_fd.get();
  control.slot_count = ctx.slot_count;
  std::vector<int> keep = {init.get(), ctx.control_fd.get(), ctx.plan_fd.get(), theirs.get()};
  for (uint32_t i = 0; i < abi::kMaxSlots; i++) {
    // Nothing that it does not use, such as a directory of the host's cgroups (CVE-2024-21626).
    control.slots[i] = i < ctx.slot_count && ctx.container_slots[i] ? ctx.slots.at(i).get() : -1;
    if (control.slots[i] >= 0) keep.push_back(control.slots[i]);
  }
  std::erase(keep, -1); // a plan without steps for the container has nothing to hand on
  std::sort(keep.begin(), keep.end());

  char name[] = "tsrun-init";
  char number[24];
  sys::FormatU64(static_cast<uint64_t>(ctx.control_fd.get()), number);
  Child child{.init_fd = init.get(),
              .keep = keep.data(),
              .keep_count = keep.size(),
              .caller_fds_end = 3 + static_cast<int>(step.keep_fds),
              .argv = {name, number, nullptr},
              .envp = {nullptr},
              .err = 0};

  void* stack = mmap(nullptr, kChildStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return Status::Fail(Op::kMmap, errno, "stack of the child");
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | step.clone_flags;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  args.stack = reinterpret_cast<uint64_t>(stack);
  args.stack_size = kChildStackBytes;
  if (!step.cgroup.none()) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(ctx.slots.get(step.cgroup));
  }
  BorrowedCpus cpus;
  TSRUN_TRY(cpus.Set(ctx.spawn_cpus));
  // A handler of ours must not run in the child, on our memory. tsrun-init sets its own mask.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  CloneJob job{ctx.enter, args, child};
  if (ctx.enter.empty())
    EnterAndClone(&job);
  else
    job.entered = CloneInCgroups(job);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  munmap(stack, kChildStackBytes);
  ctx.enter.clear();
  TSRUN_TRY(job.entered);
  const long pid = job.pid;
  if (pid < 0) return Status::Fail(Op::kClone3, job.err, step.cgroup.none() ? "" : "into the cgroup");

  ctx.pid = static_cast<pid_t>(pid);
  ctx.pidfd.reset(pidfd);
  ctx.sync = std::move(ours);
  ctx.undo.emplace_back([&ctx] { KillAndReap(ctx); });
  if (child.err != 0) return Status::Fail(Op::kExecve, child.err, "tsrun-init");
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::ProcessAdopt&) {
  Message message;
  TSRUN_TRY(ReceiveMessage(ctx, message));
  if (message.type != MessageType::kChild || message.value == 0 || message.value > INT32_MAX)
    return Status::Fail(Op::kVerify, EPROTO, "pid of the second stage", static_cast<int64_t>(message.value));
  // It is our child (CLONE_PARENT), so its number cannot be taken by another process before we reap it.
  const pid_t pid = static_cast<pid_t>(message.value);
  UniqueFd pidfd(sys::PidfdOpen(pid, 0));
  if (!pidfd.valid()) return Status::Fail(Op::kPidfdOpen, errno, "second stage");
  siginfo_t info{};
  if (sys::Retry([&] { return waitid(P_PIDFD, static_cast<id_t>(ctx.pidfd.get()), &info, WEXITED); }) != 0)
    return Status::Fail(Op::kWaitid, errno, "first stage");
  ctx.pid = pid;
  ctx.pidfd = std::move(pidfd);
  return Status::Ok();
}

} // namespace tsrun
