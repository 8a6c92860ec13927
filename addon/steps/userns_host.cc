#include <csignal>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>

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

/// /proc/<pid> of a child of ours that is not reaped: the pid is its own as long as we hold it.
Status OpenChild(pid_t pid, UniqueFd& dir) {
  char path[32] = "/proc/";
  sys::FormatU64(static_cast<uint64_t>(pid), path + 6);
  dir.reset(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!dir.valid()) return Status::Fail(Op::kOpen, errno, path);
  return Status::Ok();
}

/// A process that does nothing: the first of a new user namespace, which is there as long as it is. It shares our
/// memory, so that starting it costs nothing however large we are; in it there are raw system calls only, none of which
/// can fail, since errno is ours, too.
class Placeholder {
public:
  Placeholder() = default;
  Placeholder(const Placeholder&) = delete;
  Placeholder& operator=(const Placeholder&) = delete;
  ~Placeholder() {
    if (pidfd_.valid()) {
      sys::PidfdSendSignal(pidfd_.get(), SIGKILL);
      siginfo_t info{};
      // __WALL: it has no exit signal, so that nobody who waits for children of ours sees it.
      sys::Retry([&] { return waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | __WALL); });
    }
    if (stack_ != MAP_FAILED) munmap(stack_, kStackBytes);
  }

  Status Start(int clone_flags) {
    stack_ = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack_ == MAP_FAILED) return Status::Fail(Op::kMmap, errno, "stack");
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return Status::Fail(Op::kSocket, errno, "pipe");
    UniqueFd read_end(ends[0]), write_end(ends[1]);
    ends_[0] = ends[0];
    ends_[1] = ends[1];
    // No handler of ours may run in it.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int pidfd = -1;
    pid_ = clone(Main, static_cast<char*>(stack_) + kStackBytes, CLONE_VM | CLONE_PIDFD | clone_flags, this, &pidfd);
    const int err = errno;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid_ < 0) return Status::Fail(Op::kClone3, err, "user namespace");
    pidfd_.reset(pidfd);
    write_end_ = static_cast<UniqueFd&&>(write_end);
    return Status::Ok();
  }

  [[nodiscard]] pid_t pid() const { return pid_; }

private:
  static constexpr size_t kStackBytes = 16 * 1024;

  /// Waits for the end of the pipe, which also comes when tsrun is killed.
  static int Main(void* self) {
    const Placeholder& it = *static_cast<Placeholder*>(self);
    char byte;
    syscall(SYS_close, it.ends_[1]);
    syscall(SYS_read, it.ends_[0], &byte, 1);
    syscall(SYS_exit_group, 0);
    return 0;
  }

  void* stack_ = MAP_FAILED;
  int ends_[2] = {-1, -1};
  UniqueFd write_end_;
  UniqueFd pidfd_;
  pid_t pid_ = -1;
};

} // namespace

Status Run(HostContext& ctx, const abi::UsernsOpen& step) {
  Placeholder process;
  TSRUN_TRY(process.Start(CLONE_NEWUSER));
  UniqueFd dir;
  TSRUN_TRY(OpenChild(process.pid(), dir));
  TSRUN_TRY(WriteFile(dir.get(), "uid_map", step.uid_map));
  TSRUN_TRY(WriteFile(dir.get(), "gid_map", step.gid_map));
  UniqueFd userns(openat(dir.get(), "ns/user", O_RDONLY | O_CLOEXEC));
  if (!userns.valid()) return Status::Fail(Op::kOpen, errno, "ns/user");
  ctx.slots.put(step.slot, static_cast<UniqueFd&&>(userns));
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::UsernsMap& step) {
  UniqueFd dir;
  TSRUN_TRY(OpenChild(ctx.pid, dir));
  // Without privilege gid_map may only be written after setgroups is denied (user_namespaces(7), CVE-2014-8989).
  if (step.deny_setgroups) TSRUN_TRY(WriteFile(dir.get(), "setgroups", {"deny", 4}));
  TSRUN_TRY(WriteFile(dir.get(), "uid_map", step.uid_map));
  return WriteFile(dir.get(), "gid_map", step.gid_map);
}

} // namespace tsrun
