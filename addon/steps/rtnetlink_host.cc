#include "addon/steps/rtnetlink_host.h"

#include <linux/rtnetlink.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>

#include <csignal>

#include "addon/base/sys.h"

#ifndef NETLINK_GET_STRICT_CHK
#define NETLINK_GET_STRICT_CHK 12
#endif

namespace tsrun::rtnetlink {
namespace {

/// The kernel fills at most 32 KiB with one part of a list (NLMSG_GOODSIZE and the reader's own size).
constexpr size_t kReceiveBytes = 64 * 1024;
/// How often a list is read again that changes all the time.
constexpr int kMaxTries = 16;

/// What setns does to a thread stays with the thread, which ends here; the socket stays where it was made.
struct OpenJob {
  int netns;
  Socket& socket;
  Status status = Status::Ok();
};

void* OpenThere(void* argument) {
  OpenJob& job = *static_cast<OpenJob*>(argument);
  if (setns(job.netns, CLONE_NEWNET) != 0)
    job.status = Status::Fail(Op::kSetns, errno, "network namespace");
  else
    job.status = job.socket.Open();
  return nullptr;
}

/// The kernel's words in an answer (extended acknowledgement), or "".
std::string Words(const nlmsghdr& head, const nlmsgerr& error) {
  if ((head.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return "";
  size_t skipped = sizeof error;
  // Without this flag the request follows, whole.
  if ((head.nlmsg_flags & NLM_F_CAPPED) == 0) skipped += NLMSG_ALIGN(error.msg.nlmsg_len) - sizeof(nlmsghdr);
  const size_t size = head.nlmsg_len - NLMSG_HDRLEN;
  if (skipped >= size) return "";
  const Reply rest(reinterpret_cast<const char*>(&error), size);
  for (const Attribute& attribute : rest.Attributes(skipped))
    if (attribute.type == NLMSGERR_ATTR_MSG) return {attribute.data, strnlen(attribute.data, attribute.size)};
  return "";
}

} // namespace

void Request::Append(const void* value, size_t size) {
  const char* bytes = static_cast<const char*>(value);
  data_.insert(data_.end(), bytes, bytes + size);
  head().nlmsg_len = static_cast<uint32_t>(data_.size());
  data_.resize(NLMSG_ALIGN(data_.size()));
}

Request& Request::Add(uint16_t type, const void* value, size_t size) {
  const rtattr attribute = {.rta_len = static_cast<uint16_t>(RTA_LENGTH(size)), .rta_type = type};
  Append(&attribute, sizeof attribute);
  Append(value, size);
  return *this;
}

uint32_t Attribute::u32() const {
  uint32_t value = 0;
  if (size >= sizeof value) memcpy(&value, data, sizeof value);
  return value;
}

std::vector<Attribute> Reply::Attributes(size_t header_size) const {
  std::vector<Attribute> found;
  for (size_t at = NLMSG_ALIGN(header_size); at + sizeof(rtattr) <= data_.size();) {
    rtattr attribute;
    memcpy(&attribute, data_.data() + at, sizeof attribute);
    if (attribute.rta_len < sizeof attribute || attribute.rta_len > data_.size() - at) break;
    found.push_back({.type = static_cast<uint16_t>(attribute.rta_type & NLA_TYPE_MASK),
                     .data = data_.data() + at + sizeof attribute,
                     .size = attribute.rta_len - sizeof attribute});
    at += RTA_ALIGN(attribute.rta_len);
  }
  return found;
}

Status Socket::Open() {
  fd_.reset(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd_.valid()) return Status::Fail(Op::kSocket, errno, "NETLINK_ROUTE");
  const int on = 1;
  // Words with a refusal, and lists of what was asked for only (Linux 4.12, 4.20): the answers are checked all the
  // same.
  for (const int option : {NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK})
    if (setsockopt(fd_.get(), SOL_NETLINK, option, &on, sizeof on) != 0)
      return Status::Fail(Op::kSocket, errno, "NETLINK_ROUTE");
  return Status::Ok();
}

Status Socket::OpenIn(int netns) {
  OpenJob job{.netns = netns, .socket = *this};
  // No handler of ours runs in that thread.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int err = pthread_create(&thread, nullptr, OpenThere, &job);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (err != 0) return Status::Fail(Op::kPthreadCreate, err, "thread in the network namespace");
  pthread_join(thread, nullptr);
  return job.status;
}

Status Socket::Send(Request& request, const char* about) {
  request.head().nlmsg_seq = ++sequence_;
  if (sys::Retry([&] { return send(fd_.get(), request.data(), request.size(), 0); }) < 0)
    return Status::Fail(Op::kSendmsg, errno, about);
  return Status::Ok();
}

Status Socket::Receive(const char* about, std::vector<Reply>& out, bool& interrupted) {
  std::vector<char> buffer(kReceiveBytes); // aligned for any type
  for (;;) {
    const ssize_t got = sys::Retry([&] { return recv(fd_.get(), buffer.data(), buffer.size(), MSG_TRUNC); });
    if (got < 0) return Status::Fail(Op::kRecvmsg, errno, about);
    if (static_cast<size_t>(got) > buffer.size()) return Status::Fail(Op::kLimit, EMSGSIZE, about);
    size_t left = static_cast<size_t>(got);
    for (const auto* head = reinterpret_cast<const nlmsghdr*>(buffer.data()); NLMSG_OK(head, left);
         head = NLMSG_NEXT(head, left)) {
      if (head->nlmsg_seq != sequence_) continue; // of a request that was given up
      if ((head->nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted = true;
      if (head->nlmsg_type == NLMSG_ERROR || head->nlmsg_type == NLMSG_DONE) {
        const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(head));
        // Both begin with an error number; of NLMSG_DONE that is all there may be.
        if (head->nlmsg_len < NLMSG_LENGTH(sizeof(int)) || error->error == 0) return Status::Ok();
        const bool whole = head->nlmsg_type == NLMSG_ERROR && head->nlmsg_len >= NLMSG_LENGTH(sizeof *error);
        return Status::Fail(Op::kRtnetlink, -error->error, about, 0, whole ? Words(*head, *error).c_str() : "");
      }
      out.emplace_back(static_cast<const char*>(NLMSG_DATA(head)), head->nlmsg_len - NLMSG_HDRLEN);
    }
  }
}

Status Socket::Do(Request& request, const char* about) {
  std::vector<Reply> none;
  bool interrupted = false;
  request.head().nlmsg_flags |= NLM_F_ACK;
  TSRUN_TRY(Send(request, about));
  return Receive(about, none, interrupted);
}

Status Socket::Get(Request& request, const char* about, Reply& out) {
  std::vector<Reply> found;
  bool interrupted = false;
  request.head().nlmsg_flags |= NLM_F_ACK; // so that one answer ends like another
  TSRUN_TRY(Send(request, about));
  TSRUN_TRY(Receive(about, found, interrupted));
  if (found.empty()) return Status::Fail(Op::kVerify, EPROTO, about, 0, "an answer without an object");
  out = std::move(found.front());
  return Status::Ok();
}

Status Socket::Dump(Request& request, const char* about, std::vector<Reply>& out) {
  request.head().nlmsg_flags |= NLM_F_DUMP;
  for (int tries = 0; tries < kMaxTries; tries++) {
    bool interrupted = false;
    out.clear();
    TSRUN_TRY(Send(request, about));
    TSRUN_TRY(Receive(about, out, interrupted));
    if (!interrupted) return Status::Ok();
  }
  return Status::Fail(Op::kRtnetlink, EAGAIN, about, 0, "it changes all the time");
}

} // namespace tsrun::rtnetlink
