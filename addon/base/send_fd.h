#pragma once
#include <sys/socket.h>

#include "addon/base/status.h"
#include "addon/base/sys.h"

namespace tsrun {

/// Sends one descriptor with a text (runc's receivers read it as the file's name) over a unix stream socket.
/// `name` is for a failure.
inline Status SendFd(int socket, int fd, const char* text, size_t size, const char* name) {
  iovec part = {const_cast<char*>(text), size}; // sendmsg reads only
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message); // not null: control has room for one
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  ssize_t sent = sys::Retry([&] { return sendmsg(socket, &message, MSG_NOSIGNAL); });
  if (sent < 0) return Status::Fail(Op::kSendmsg, errno, name);
  // The descriptor goes with the first byte; a signal may have come before the last.
  for (size_t done = static_cast<size_t>(sent); done < size; done += static_cast<size_t>(sent)) {
    sent = sys::Retry([&] { return send(socket, text + done, size - done, MSG_NOSIGNAL); });
    if (sent < 0) return Status::Fail(Op::kSendmsg, errno, name);
  }
  return Status::Ok();
}

} // namespace tsrun
