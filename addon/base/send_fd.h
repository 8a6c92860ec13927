#pragma once
#include <sys/socket.h>

#include "addon/base/status.h"
#include "addon/base/sys.h"

namespace tsrun {

/// Sends one descriptor with a text (runc's receivers read it as the file's name) over a unix stream socket.
inline Status SendFd(int socket, int fd, const char* text, size_t size) {
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
  if (sys::Retry([&] { return sendmsg(socket, &message, MSG_NOSIGNAL); }) < 0)
    return Status::Fail(Op::kSendmsg, errno, text);
  return Status::Ok();
}

} // namespace tsrun
