#pragma once
#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "addon/base/status.h"
#include "addon/base/sys.h"

namespace tsrun {

/// Connects to a unix socket by path, however long: beyond the 107 bytes of sun_path by a descriptor of its place.
inline Status ConnectPath(const char* path, UniqueFd& out, int type = SOCK_STREAM) {
  UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Status::Fail(Op::kSocket, errno, path);
  UniqueFd place; // keeps /proc/self/fd/N alive until connected
  std::string name = path;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.size() >= sizeof address.sun_path) {
    place.reset(open(path, O_PATH | O_CLOEXEC));
    if (!place.valid()) return Status::Fail(Op::kOpen, errno, path);
    name = "/proc/self/fd/" + std::to_string(place.get());
  }
  memcpy(address.sun_path, name.c_str(), name.size() + 1);
  if (sys::Retry([&] { return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address); }) != 0)
    return Status::Fail(Op::kConnect, errno, path);
  out = static_cast<UniqueFd&&>(fd);
  return Status::Ok();
}

} // namespace tsrun
