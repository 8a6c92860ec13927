#include "addon/steps/notify_host.h"

#include <memory>

#include <poll.h>
#include <sys/stat.h>

#include "addon/base/send_fd.h"
#include "addon/exec/host_context.h"
#include "addon/exec/walk.h"
#include "addon/steps/process_identity_host.h"
#include "addon/steps/unix_path_host.h"

namespace tsrun {
namespace notify {

Status Read(int socket, std::string& ready) {
  char text[4096];
  for (;;) {
    const ssize_t got = sys::Retry([&] { return recv(socket, text, sizeof text, MSG_DONTWAIT); });
    if (got < 0) return errno == EAGAIN ? Status::Ok() : Status::Fail(Op::kRecvmsg, errno, "notify socket");
    const std::string all(text, static_cast<size_t>(got));
    for (size_t at = 0; ready.empty() && at < all.size();) {
      const size_t end = std::min(all.find('\n', at), all.size());
      if (all.compare(at, 6, "READY=") == 0) ready = all.substr(at, end - at);
      at = end + 1;
    }
  }
}

namespace {

Status Connect(const std::string& address, UniqueFd& out) {
  if (!address.starts_with('@')) return ConnectPath(address.c_str(), out, SOCK_DGRAM);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (address.size() > sizeof name.sun_path) return Status::Fail(Op::kConnect, ENAMETOOLONG, address.c_str());
  memcpy(name.sun_path + 1, address.data() + 1, address.size() - 1);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Status::Fail(Op::kSocket, errno, address.c_str());
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), size) != 0)
    return Status::Fail(Op::kConnect, errno, address.c_str());
  out = std::move(fd);
  return Status::Ok();
}

} // namespace

Status Tell(const std::string& address, const std::string& ready, uint64_t pid, UniqueFd& barrier) {
  UniqueFd socket;
  TSRUN_TRY(Connect(address, socket));
  for (const std::string& text : {ready + "\n", "MAINPID=" + std::to_string(pid) + "\n"})
    if (sys::Retry([&] { return send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL); }) < 0)
      return Status::Fail(Op::kSendmsg, errno, address.c_str());
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Status::Fail(Op::kOpen, errno, "pipe");
  barrier.reset(ends[0]);
  const UniqueFd theirs(ends[1]);
  constexpr char kBarrier[] = "BARRIER=1";
  return SendFd(socket.get(), theirs.get(), kBarrier, sizeof kBarrier - 1, address.c_str());
}

} // namespace notify

Status Run(HostContext& ctx, const abi::NotifyListen& step) {
  const auto directory =
      std::make_shared<UniqueFd>(open(step.directory.data, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!directory->valid()) return Status::Fail(Op::kOpen, errno, step.directory.data);
  const std::string name = step.name.data;
  // By descriptor: state directories may be longer than sun_path.
  const std::string path = "/proc/self/fd/" + std::to_string(directory->get()) + "/" + name;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return Status::Fail(Op::kBind, ENAMETOOLONG, name.c_str());
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket_.valid()) return Status::Fail(Op::kSocket, errno, name.c_str());
  unlinkat(directory->get(), name.c_str(), 0); // of a start that was killed
  if (bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return Status::Fail(Op::kBind, errno, name.c_str());
  ctx.undo.emplace_back([&ctx, directory, name] {
    ctx.notify.reset();
    unlinkat(directory->get(), name.c_str(), 0);
  });
  // For whoever the container's program is; nobody else comes through the state directory. The container sees the
  // directory too, so what is changed is the socket that was looked at, not whatever its name leads to.
  const UniqueFd made(openat(directory->get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat st;
  if (!made.valid() || fstat(made.get(), &st) != 0) return Status::Fail(Op::kOpenat2, errno, name.c_str());
  if (!S_ISSOCK(st.st_mode)) return Status::Fail(Op::kVerify, ENOTSOCK, name.c_str());
  if (chmod(("/proc/self/fd/" + std::to_string(made.get())).c_str(), 0777) != 0)
    return Status::Fail(Op::kFchmod, errno, name.c_str());
  ctx.notify = std::move(socket_);
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::NotifyForward& step) {
  if (!step.ready && !ctx.notify.valid()) return Status::Fail(Op::kVerify, ENOTCONN, "no socket is listened on");
  UniqueFd process;
  const Status found = OpenProcess(step.pid, step.start_time, process);
  const bool gone = found.op == Op::kPidfdOpen && found.err == ESRCH;
  if (!gone) TSRUN_TRY(found);
  std::string ready = step.ready ? "READY=1" : "";
  for (bool ended = gone; ready.empty();) {
    TSRUN_TRY(notify::Read(ctx.notify.get(), ready));
    if (!ready.empty()) break;
    if (ended) return Status::Ok(); // it never became ready
    pollfd fds[2] = {{ctx.notify.get(), POLLIN, 0}, {process.get(), POLLIN, 0}};
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return Status::Fail(Op::kPoll, errno, "notify socket");
    ended = fds[1].revents != 0;
  }
  UniqueFd barrier;
  TSRUN_TRY(notify::Tell(step.address.data, ready, step.pid, barrier));
  const uint64_t deadline = MonotonicNs() + uint64_t{notify::kBarrierMs} * 1'000'000;
  for (uint64_t now = MonotonicNs(); now < deadline; now = MonotonicNs()) {
    pollfd fd = {barrier.get(), POLLIN, 0};
    const int done = poll(&fd, 1, static_cast<int>((deadline - now) / 1'000'000) + 1);
    if (done > 0) break;
    if (done < 0 && errno != EINTR) return Status::Fail(Op::kPoll, errno, "notify socket");
  }
  return Status::Ok();
}

} // namespace tsrun
