#include "addon/steps/hook_run.h"

#include <csignal>
#include <ctime>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "addon/base/sys.h"
#include "addon/base/text_array.h"

namespace tsrun {
namespace {

int64_t NowMs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
}

/// Blocks every signal while it lives: no handler of ours may run in a child that shares our memory, and a hook that
/// does not read its input must not kill us by SIGPIPE.
class BlockedSignals {
public:
  BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
    sigpending(&pending_);
  }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  ~BlockedSignals() {
    if (sigismember(&pending_, SIGPIPE) == 0) {
      sigset_t pipe;
      sigemptyset(&pipe);
      sigaddset(&pipe, SIGPIPE);
      const timespec now = {0, 0};
      sigtimedwait(&pipe, nullptr, &now); // takes back the one of ours, if there is one
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

private:
  sigset_t before_, pending_;
};

struct Pipe {
  UniqueFd read, write;
  Status Open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return Status::Fail(Op::kOpen, errno, "pipe");
    read.reset(ends[0]);
    write.reset(ends[1]);
    return Status::Ok();
  }
};

/// The state in its three parts, and how far it is written.
struct Input {
  const char* parts[3];
  size_t sizes[3];
  int part = 0;
  size_t at = 0;

  [[nodiscard]] bool done() {
    while (part < 3 && at == sizes[part]) {
      part++;
      at = 0;
    }
    return part == 3;
  }
};

/// The end of what the hook said: the last kTextBytes, without bytes that would end the text early.
struct Output {
  char tail[Status::kTextBytes * 2];
  size_t used = 0;

  void Add(const char* data, size_t size) {
    constexpr size_t kKeep = Status::kTextBytes;
    for (size_t i = 0; i < size; i++) {
      if (used == sizeof tail - 1) {
        memmove(tail, tail + used - kKeep, kKeep);
        used = kKeep;
      }
      tail[used++] = data[i] == '\0' ? '?' : data[i];
    }
  }
  const char* text() {
    tail[used] = '\0';
    return tail;
  }
};

/// Starts the hook. The child shares our memory until it executes, so it makes nothing but system calls; its errno
/// comes back through `err`. vfork returns twice: nothing here has a destructor that would run in the child.
[[gnu::noinline]] pid_t Start(const char* path, char** argv, char** envp, const char* directory, int in, int out,
                              int error, volatile int* err) {
  const pid_t pid = vfork();
  if (pid != 0) return pid;
  setpgid(0, 0); // so that a timeout reaches what the hook started, too
  // As programs expect it: Node ignores SIGPIPE, and a handler would run in the child.
  struct {
    unsigned long handler, flags, restorer;
    uint64_t mask;
  } action = {};
  for (int number = 1; number <= 64; number++)
    syscall(SYS_rt_sigaction, number, &action, nullptr, sizeof action.mask);
  const uint64_t none = 0;
  if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(error, 2) < 0) {
    *err = errno;
    _exit(127);
  }
  sys::CloseRange(3, ~0u, 0); // nothing of ours is a hook's (Linux 5.9)
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
  // The child's own: vfork shares memory, not the working directory.
  if (chdir(directory) != 0 && chdir("/") != 0) {
    *err = errno;
    _exit(127);
  }
  execve(path, argv, envp);
  *err = errno;
  _exit(127);
}

void Drain(int fd, Output& output) {
  char buffer[1024];
  for (;;) {
    const ssize_t got = sys::Retry([&] { return read(fd, buffer, sizeof buffer); });
    if (got <= 0) return;
    output.Add(buffer, static_cast<size_t>(got));
  }
}

/// Feeds and reads the hook until it ends. Returns false at the deadline (milliseconds of CLOCK_MONOTONIC, 0 = none).
bool Serve(int pidfd, UniqueFd& in, int out, Input& input, Output& output, int64_t deadline) {
  bool reading = true;
  for (;;) {
    if (in.valid() && input.done()) in.reset();
    pollfd fds[3] = {{pidfd, POLLIN, 0}, {reading ? out : -1, POLLIN, 0}, {in.valid() ? in.get() : -1, POLLOUT, 0}};
    int timeout = -1;
    if (deadline != 0) {
      const int64_t left = deadline - NowMs();
      if (left <= 0) return false;
      timeout = left > 1'000'000 ? 1'000'000 : static_cast<int>(left);
    }
    if (poll(fds, 3, timeout) < 0 && errno != EINTR) return true; // waitid tells the rest
    if (fds[2].revents != 0) {
      const ssize_t sent = write(in.get(), input.parts[input.part] + input.at, input.sizes[input.part] - input.at);
      if (sent > 0)
        input.at += static_cast<size_t>(sent);
      else if (sent < 0 && errno != EAGAIN && errno != EINTR)
        in.reset(); // a hook need not read its state
    }
    if (fds[1].revents != 0) {
      char buffer[4096];
      const ssize_t got = read(out, buffer, sizeof buffer);
      if (got > 0)
        output.Add(buffer, static_cast<size_t>(got));
      else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        reading = false;
    }
    if (fds[0].revents != 0) {
      // It has ended; what it left running may keep the pipe open, so only what is there now is read.
      if (reading) Drain(out, output);
      return true;
    }
  }
}

} // namespace

Status RunHook(const abi::HookRun& step, uint64_t pid, int stdout_fd, int stderr_fd) {
  const char* path = step.path.data;
  TextArray args, env;
  TSRUN_TRY(args.Fill(step.args));
  TSRUN_TRY(env.Fill(step.env));
  Pipe in, out;
  TSRUN_TRY(in.Open());
  TSRUN_TRY(out.Open());
  fcntl(in.write.get(), F_SETFL, O_NONBLOCK);
  fcntl(out.read.get(), F_SETFL, O_NONBLOCK);

  char number[24];
  const bool live = !step.state_after.empty();
  const size_t digits = live ? sys::FormatU64(pid, number) : 0;
  Input input = {{step.state_before.data, number, step.state_after.data},
                 {step.state_before.size, digits, step.state_after.size}};
  Output output;

  BlockedSignals blocked;
  volatile int err = 0;
  const pid_t child =
      Start(path, args.get(), env.get(), step.directory.data, in.read.get(),
            stdout_fd >= 0 ? stdout_fd : out.write.get(), stderr_fd >= 0 ? stderr_fd : out.write.get(), &err);
  if (child < 0) return Status::Fail(Op::kClone3, errno, path);
  in.read.reset();
  out.write.reset();
  // Not reaped yet, so the pid is still the hook's.
  UniqueFd pidfd(sys::PidfdOpen(child, 0));
  const int pidfd_err = errno;
  const int64_t deadline = step.timeout_ms == 0 ? 0 : NowMs() + static_cast<int64_t>(step.timeout_ms);
  const bool ended =
      err != 0 || (pidfd.valid() && Serve(pidfd.get(), in.write, out.read.get(), input, output, deadline));
  if (!ended) {
    kill(-child, SIGKILL);
    kill(child, SIGKILL); // if it has left its group
  }
  siginfo_t info{};
  const int waited = sys::Retry([&] { return waitid(P_PID, static_cast<id_t>(child), &info, WEXITED); });
  const int wait_err = errno;
  if (err != 0) return Status::Fail(Op::kExecve, err, path);
  if (!pidfd.valid()) return Status::Fail(Op::kPidfdOpen, pidfd_err, path);
  if (!ended) {
    Drain(out.read.get(), output);
    return Status::Fail(Op::kTimeout, ETIMEDOUT, path, static_cast<int64_t>(step.timeout_ms), output.text());
  }
  if (waited != 0) return Status::Fail(Op::kWaitid, wait_err, path);
  if (info.si_code != CLD_EXITED) return Status::Fail(Op::kKilled, 0, path, info.si_status, output.text());
  if (info.si_status != 0) return Status::Fail(Op::kExited, 0, path, info.si_status, output.text());
  return Status::Ok();
}

} // namespace tsrun
