// The foreground: signals of the caller go to the container's process, its terminal is relayed, its end is waited for.
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>

#include <csignal>

#include "addon/base/sys.h"
#include "addon/exec/session.h"
#include "addon/steps/notify_host.h"

namespace tsrun {
namespace {

/// Written to by the handlers, in whatever thread they run; open as long as the process. One session at a time is in
/// the foreground of a process.
int g_signal_pipe[2] = {-1, -1};

void OnSignal(int signal) {
  const int saved = errno;
  const unsigned char byte = static_cast<unsigned char>(signal);
  const ssize_t ignored = write(g_signal_pipe[1], &byte, 1);
  (void)ignored;
  errno = saved;
}

/// Everything a caller may send; not what the kernel sends for a fault of ours,
/// and not what cannot be caught.
bool Watched(int signal) {
  switch (signal) {
  case SIGKILL:
  case SIGSTOP:
  case SIGCHLD: // AdoptOrphans
  case SIGPIPE:
  case SIGSEGV:
  case SIGBUS:
  case SIGILL:
  case SIGFPE:
  case SIGTRAP:
  case SIGABRT:
  case SIGSYS:
  case SIGPROF:
    return false; // V8's profiler
  default:
    return signal < 32 || signal >= SIGRTMIN;
  }
}

/// The caller's terminal in raw mode, put back at the end.
class RawTerminal {
public:
  explicit RawTerminal(int fd) : fd_(fd) {
    if (tcgetattr(fd_, &before_) != 0) return;
    termios raw = before_;
    cfmakeraw(&raw);
    // The container's terminal adds no carriage returns to line ends (console.open), so this one has to (as runc).
    raw.c_oflag = before_.c_oflag;
    active_ = tcsetattr(fd_, TCSANOW, &raw) == 0;
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  ~RawTerminal() {
    if (active_) tcsetattr(fd_, TCSANOW, &before_);
  }

private:
  int fd_;
  termios before_{};
  bool active_ = false;
};

/// The first of the standard streams that is a terminal, or -1.
int FirstTerminal() {
  for (int fd = 0; fd < 3; fd++)
    if (isatty(fd) != 0) return fd;
  return -1;
}

void CopyWindowSize(int from, int to) {
  winsize size;
  if (ioctl(from, TIOCGWINSZ, &size) == 0) ioctl(to, TIOCSWINSZ, &size);
}

/// The terminal's master that console.open sent through the pair. Non-blocking: nobody else has this end.
Status ReceiveMaster(int socket, UniqueFd& master) {
  char name[4096];
  iovec data = {name, sizeof name};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t got = sys::Retry([&] { return recvmsg(socket, &message, MSG_CMSG_CLOEXEC); });
  if (got < 0) return Status::Fail(Op::kRecvmsg, errno, "console");
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int)))
    return Status::Fail(Op::kVerify, EPROTO, "console");
  int fd;
  memcpy(&fd, CMSG_DATA(header), sizeof fd);
  master.reset(fd);
  if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) return Status::Fail(Op::kFcntl, errno, "console");
  return Status::Ok();
}

/// One direction of the relay. It never waits itself: a terminal whose program does not read must not keep what the
/// program writes from its reader.
class Relay {
public:
  Relay(int from, int to) : from_(from), to_(to) {}

  [[nodiscard]] int from() const { return open_ && used_ == 0 ? from_ : -1; }
  [[nodiscard]] int to() const { return used_ > 0 ? to_ : -1; }

  /// After poll: reads, or writes on.
  void Serve(short readable, short writable) {
    if (used_ == 0 && readable != 0) Fill();
    if (used_ > 0 && writable != 0) Flush();
  }
  void Fill() {
    const ssize_t got = sys::Retry([&] { return read(from_, buffer_, sizeof buffer_); });
    at_ = 0;
    if (got > 0)
      used_ = static_cast<size_t>(got);
    else if (got == 0 || errno != EAGAIN)
      open_ = false;
  }
  void Flush() {
    const ssize_t sent = sys::Retry([&] { return write(to_, buffer_ + at_, used_ - at_); });
    if (sent < 0 && errno == EAGAIN) return;
    at_ += sent < 0 ? 0 : static_cast<size_t>(sent);
    if (sent < 0) open_ = false; // nobody takes it any more
    if (sent < 0 || at_ == used_) used_ = 0;
  }
  /// What is still to be read, and then nothing more: until it would block, or EIO when the last holder is gone.
  void Drain() {
    for (;;) {
      while (used_ > 0) {
        pollfd fd = {to_, POLLOUT, 0};
        if (poll(&fd, 1, -1) < 0 && errno != EINTR) return;
        Flush();
      }
      pollfd fd = {from_, POLLIN, 0};
      if (!open_ || poll(&fd, 1, 0) <= 0) return;
      Fill();
      if (used_ == 0) return;
    }
  }

private:
  int from_, to_;
  size_t at_ = 0, used_ = 0;
  bool open_ = true;
  char buffer_[4096]; // as much as a pipe that poll calls writable takes at once
};

/// Reaps those children that are not `own`: what the container has left to us as its subreaper.
void ReapOrphans(pid_t own) {
  for (;;) {
    siginfo_t info{};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0 || info.si_pid == own) return;
    if (waitid(P_PID, static_cast<id_t>(info.si_pid), &info, WEXITED | WNOHANG) != 0) return;
  }
}

} // namespace

Status Session::Handle(int signal) {
  if (g_signal_pipe[0] < 0 && pipe2(g_signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
    return Status::Fail(Op::kOpen, errno, "signal pipe");
  struct sigaction action {
  }, before{};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  // What the caller ignores (nohup) stays ignored.
  if (signal != SIGCHLD && sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_IGN)
    return Status::Ok();
  if (sigaction(signal, &action, &before) == 0) handled_.emplace_back(signal, before);
  return Status::Ok();
}

Status Session::WatchSignals() {
  for (int signal = 1; signal < NSIG; signal++)
    if (Watched(signal)) TSRUN_TRY(Handle(signal));
  unsigned char before;
  while (read(g_signal_pipe[0], &before, 1) == 1) {
    // another session's
  }
  return Status::Ok();
}

void Session::ForgetSignals() {
  for (const auto& [signal, before] : handled_) {
    // Only what is still ours: a handler that was set since, as libuv's for children of Node's, is relied upon.
    struct sigaction now {};
    if (sigaction(signal, nullptr, &now) != 0 || now.sa_handler != OnSignal) continue;
    sigaction(signal, &before, nullptr);
    // Who waited for children before us has heard of none since: it has to look again.
    if (signal == SIGCHLD && before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) kill(getpid(), SIGCHLD);
  }
  handled_.clear();
}

Status Session::AdoptOrphans() {
  if (reaping_) return Status::Ok();
  TSRUN_TRY(Handle(SIGCHLD));
  if (prctl(PR_GET_CHILD_SUBREAPER, &was_subreaper_, 0, 0, 0) != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
    return Status::Fail(Op::kPrctl, errno, "PR_SET_CHILD_SUBREAPER");
  reaping_ = true;
  return Status::Ok();
}

void Session::ForgetOrphans() {
  if (reaping_) prctl(PR_SET_CHILD_SUBREAPER, was_subreaper_, 0, 0, 0);
  reaping_ = false;
}

Status Session::Attach(const std::string& notify_address, ExitStatus& exit, Status& notified) {
  if (!ctx_.pidfd.valid()) return Status::Fail(Op::kVerify, ESRCH, "no process to attach to");
  if (handled_.empty()) TSRUN_TRY(WatchSignals());
  UniqueFd master, barrier;
  if (ctx_.console.valid()) TSRUN_TRY(ReceiveMaster(ctx_.console.get(), master));
  const int terminal = master.valid() ? FirstTerminal() : -1;
  if (terminal >= 0) CopyWindowSize(terminal, master.get());
  {
    RawTerminal raw(master.valid() && isatty(0) != 0 ? 0 : -1);
    Relay input(master.valid() ? 0 : -1, master.get()), output(master.get(), 1);
    bool waiting_for_ready = ctx_.notify.valid() && !notify_address.empty();
    for (bool running = true; running;) {
      pollfd fds[] = {{g_signal_pipe[0], POLLIN, 0},
                      {ctx_.pidfd.get(), POLLIN, 0},
                      {input.from(), POLLIN, 0},
                      {input.to(), POLLOUT, 0},
                      {output.from(), POLLIN, 0},
                      {output.to(), POLLOUT, 0},
                      {waiting_for_ready ? ctx_.notify.get() : -1, POLLIN, 0},
                      {barrier.get(), POLLIN, 0}};
      if (poll(fds, sizeof fds / sizeof fds[0], -1) < 0) {
        if (errno == EINTR) continue;
        return Status::Fail(Op::kPoll, errno);
      }
      if (fds[0].revents != 0) {
        unsigned char signal;
        while (read(g_signal_pipe[0], &signal, 1) == 1) {
          if (signal == SIGCHLD) {
            if (reaping_) ReapOrphans(ctx_.pid);
          } else if (signal == SIGWINCH && terminal >= 0) {
            CopyWindowSize(terminal, master.get());
          } else {
            sys::PidfdSendSignal(ctx_.pidfd.get(), signal); // gone already: the next poll says so
          }
        }
      }
      input.Serve(fds[2].revents, fds[3].revents);
      output.Serve(fds[4].revents, fds[5].revents);
      if (fds[6].revents != 0) {
        std::string ready;
        notified = notify::Read(ctx_.notify.get(), ready);
        // We are the service that the caller's manager knows, and end with the container.
        if (notified.ok() && !ready.empty())
          notified = notify::Tell(notify_address, ready, static_cast<uint64_t>(getpid()), barrier);
        waiting_for_ready = notified.ok() && ready.empty();
      }
      if (fds[7].revents != 0) barrier.reset();
      if (fds[1].revents != 0) running = false;
    }
    output.Drain();
  }
  ForgetSignals();
  siginfo_t info{};
  if (sys::Retry([&] { return waitid(P_PIDFD, static_cast<id_t>(ctx_.pidfd.get()), &info, WEXITED); }) != 0)
    return Status::Fail(Op::kWaitid, errno);
  exit.killed = info.si_code != CLD_EXITED;
  exit.value = info.si_status;
  ctx_.pidfd.reset();
  ctx_.pid = -1;
  if (reaping_) ReapOrphans(-1);
  return Status::Ok();
}

} // namespace tsrun
