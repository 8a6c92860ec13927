// The gate between create and start: a unix socket in the container's state directory. tsrun-init holds its listening
// end; whoever connects and says "go" starts the container.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <memory>

#include "addon/base/seqpacket.h"
#include "addon/exec/host_context.h"

namespace tsrun {
namespace {

/// An address below a directory's descriptor: state directories may be longer than sun_path's 108 bytes.
bool AddressIn(int directory, const char* name, sockaddr_un& address) {
  address = {};
  address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(directory) + "/" + name;
  if (path.size() >= sizeof address.sun_path) return false;
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return true;
}

Status OpenDirectory(abi::Str path, UniqueFd& out) {
  out.reset(open(path.data, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!out.valid()) return Status::Fail(Op::kOpen, errno, path.data);
  return Status::Ok();
}

} // namespace

Status Run(HostContext& ctx, const abi::GateListen& step) {
  UniqueFd directory;
  TSRUN_TRY(OpenDirectory(step.directory, directory));
  sockaddr_un address;
  if (!AddressIn(directory.get(), step.name.data, address))
    return Status::Fail(Op::kBind, ENAMETOOLONG, step.name.data);
  UniqueFd listener(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!listener.valid()) return Status::Fail(Op::kSocket, errno, "gate");
  // fchmod before bind sets the mode of the file that bind makes: never connectable by others, not even for a moment.
  if (fchmod(listener.get(), 0600) != 0) return Status::Fail(Op::kFchmod, errno, "gate");
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return Status::Fail(Op::kBind, errno, step.name.data);
  ctx.undo.emplace_back([directory = std::make_shared<UniqueFd>(std::move(directory)),
                         name = std::string(step.name.data)] { unlinkat(directory->get(), name.c_str(), 0); });
  if (listen(listener.get(), 4) != 0) return Status::Fail(Op::kListen, errno, "gate");
  ctx.slots.put(step.slot, std::move(listener));
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::GateOpen& step) {
  UniqueFd directory;
  TSRUN_TRY(OpenDirectory(step.directory, directory));
  sockaddr_un address;
  if (!AddressIn(directory.get(), step.name.data, address))
    return Status::Fail(Op::kConnect, ENAMETOOLONG, step.name.data);
  UniqueFd connection(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!connection.valid()) return Status::Fail(Op::kSocket, errno, "gate");
  if (sys::Retry(
          [&] { return connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address); }) != 0)
    return Status::Fail(Op::kConnect, errno, step.name.data);
  Message message{};
  message.type = MessageType::kGo;
  if (seqpacket::Send(connection.get(), &message, kShortMessage) < 0)
    return Status::Fail(Op::kSendmsg, errno, step.name.data);
  // Only after the word is given: killed before, the gate is still shut and there; killed after, tsrun-init is on its
  // way and its executable tells `state` so.
  unlinkat(directory.get(), step.name.data, 0);

  const ssize_t got = seqpacket::Receive(connection.get(), &message, sizeof message);
  if (got == 0) return Status::Ok(); // closed by execve
  if (got < 0) {
    const int err = errno;
    if (err == ECONNRESET) return Status::Fail(Op::kPeer, EPIPE, "tsrun-init");
    return Status::Fail(Op::kRecvmsg, err, step.name.data);
  }
  if (static_cast<size_t>(got) != sizeof message || message.type != MessageType::kFailure)
    return Status::Fail(Op::kVerify, EPROTO, "gate message");
  KeepFailure(ctx, message.failure);
  return Status::Fail(Op::kPeer, EPIPE, "container");
}

} // namespace tsrun
