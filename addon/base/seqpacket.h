#pragma once
#include <sys/socket.h>

#include "addon/base/sys.h"

/// One datagram of a SOCK_SEQPACKET socket; never SIGPIPE.
namespace tsrun::seqpacket {

inline ssize_t Send(int fd, const void* data, size_t size) {
  return sys::Retry([&] { return send(fd, data, size, MSG_NOSIGNAL); });
}
/// Returns 0 at the end of file.
inline ssize_t Receive(int fd, void* data, size_t size) {
  return sys::Retry([&] { return recv(fd, data, size, 0); });
}

} // namespace tsrun::seqpacket
