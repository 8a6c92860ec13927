// The foreground: signals of the caller go to the container's process, its terminal is relayed, its end is waited for.
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>

#include <csignal>

#include "addon/base/sys.h"
#include "addon/exec/session.h"

namespace tsrun {
namespace {

/// Written to by the handlers, in whatever thread they run. One session at a time is in the foreground of a process.
volatile int g_signal_pipe = -1;

void OnSignal(int signal) {
  const int saved = errno;
  const unsigned char byte = static_cast<unsigned char>(signal);
  const ssize_t ignored = write(g_signal_pipe, &byte, 1);
  (void)ignored;
  errno = saved;
}

/// Everything a caller may send; not what the kernel sends for a fault of ours, and not what cannot be caught.
bool Forwarded(int signal) {
  switch (signal) {
  case SIGKILL:
  case SIGSTOP:
  case SIGCHLD:
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

void CopyWindowSize(int from, int to) {
  winsize size;
  if (ioctl(from, TIOCGWINSZ, &size) == 0) ioctl(to, TIOCSWINSZ, &size);
}

/// The terminal's master that console.open sent through the pair.
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
  // No carriage return is added to what the program writes: the caller's terminal does that (runc's rule).
  termios settings;
  if (tcgetattr(fd, &settings) == 0) {
    settings.c_oflag &= ~static_cast<tcflag_t>(ONLCR);
    tcsetattr(fd, TCSANOW, &settings);
  }
  return Status::Ok();
}

/// Copies what is there to be read; false at the end of the file. Our end may be non-blocking through somebody else's
/// hands (O_NONBLOCK is shared), hence the poll before a write that would block.
bool Copy(int from, int to) {
  char buffer[16384];
  const ssize_t got = sys::Retry([&] { return read(from, buffer, sizeof buffer); });
  if (got < 0) return errno == EAGAIN;
  if (got == 0) return false;
  for (ssize_t done = 0; done < got;) {
    const ssize_t n = sys::Retry([&] { return write(to, buffer + done, static_cast<size_t>(got - done)); });
    if (n >= 0) {
      done += n;
    } else if (errno == EAGAIN) {
      pollfd wait = {to, POLLOUT, 0};
      poll(&wait, 1, -1);
    } else {
      return false;
    }
  }
  return true;
}

} // namespace

Status Session::WatchSignals() {
  int pair[2];
  if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) != 0) return Status::Fail(Op::kOpen, errno, "signal pipe");
  signals_.reset(pair[0]);
  g_signal_pipe = pair[1]; // stays open as long as the process: a handler may run at any time
  struct sigaction action {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  for (int signal = 1; signal < NSIG; signal++) {
    if (!Forwarded(signal)) continue;
    struct sigaction before {};
    // What the caller ignores (nohup) stays ignored.
    if (sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_IGN) continue;
    sigaction(signal, &action, nullptr);
  }
  return Status::Ok();
}

Status Session::Attach(ExitStatus& exit) {
  if (!ctx_.pidfd.valid()) return Status::Fail(Op::kVerify, ESRCH, "no process to attach to");
  if (!signals_.valid()) TSRUN_TRY(WatchSignals());
  UniqueFd master;
  if (ctx_.console.valid()) TSRUN_TRY(ReceiveMaster(ctx_.console.get(), master));
  const bool terminal = master.valid() && isatty(0) != 0;
  if (terminal) CopyWindowSize(0, master.get());
  {
    RawTerminal raw(terminal ? 0 : -1);
    enum { kSignals, kProcess, kMaster, kInput, kCount };
    pollfd fds[kCount] = {{signals_.get(), POLLIN, 0},
                          {ctx_.pidfd.get(), POLLIN, 0},
                          {master.get(), POLLIN, 0},
                          {master.valid() ? 0 : -1, POLLIN, 0}};
    bool running = true;
    while (running) {
      if (poll(fds, kCount, -1) < 0) {
        if (errno == EINTR) continue;
        return Status::Fail(Op::kPoll, errno);
      }
      if (fds[kSignals].revents != 0) {
        unsigned char signal;
        while (read(signals_.get(), &signal, 1) == 1) {
          if (signal == SIGWINCH && terminal)
            CopyWindowSize(0, master.get());
          else
            sys::PidfdSendSignal(ctx_.pidfd.get(), signal); // gone already: the next poll says so
        }
      }
      if (fds[kInput].revents != 0 && !Copy(0, master.get())) fds[kInput].fd = -1;
      if (fds[kMaster].revents != 0 && !Copy(master.get(), 1)) fds[kMaster].fd = -1;
      if (fds[kProcess].revents != 0) running = false;
    }
    // What the program wrote last is still in the terminal: until it would block, or EIO when the last holder is gone.
    while (fds[kMaster].fd >= 0) {
      pollfd last = {master.get(), POLLIN, 0};
      if (poll(&last, 1, 0) <= 0 || !Copy(master.get(), 1)) break;
    }
  }
  siginfo_t info{};
  if (sys::Retry([&] { return waitid(P_PIDFD, static_cast<id_t>(ctx_.pidfd.get()), &info, WEXITED); }) != 0)
    return Status::Fail(Op::kWaitid, errno);
  exit.killed = info.si_code != CLD_EXITED;
  exit.value = info.si_status;
  ctx_.pidfd.reset();
  ctx_.pid = -1;
  return Status::Ok();
}

} // namespace tsrun
