#include "addon/steps/dbus_host.h"

#include <poll.h>

#include "addon/exec/walk.h"
#include "addon/steps/unix_path_host.h"

namespace tsrun::dbus {
namespace {

constexpr char kLittleEndian = 'l';
constexpr uint8_t kProtocolVersion = 1;
/// "Authentication Protocol": a line of the other side's.
constexpr size_t kMaxLineBytes = 512;

constexpr size_t Align(size_t at, size_t to) {
  return (at + to - 1) / to * to;
}

/// Reads values from a message. What is beyond its end, or not what it must be, makes all further reading fail.
class Reader {
public:
  Reader(const char* data, size_t size) : data_(data), size_(size) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] size_t at() const { return at_; }
  void Seek(size_t to) { Take(to < at_ ? size_ + 1 : to - at_); }
  void Pad(size_t to) { Take(Align(at_, to) - at_); }

  template <typename Number> Number Get() {
    Pad(sizeof(Number));
    Number value{};
    if (const char* from = Take(sizeof value)) memcpy(&value, from, sizeof value);
    return value;
  }

  std::string Text(size_t length) {
    if (length >= size_) length = size_; // no overflow below
    const char* from = Take(length + 1);
    if (from == nullptr || from[length] != '\0' || memchr(from, '\0', length) != nullptr) {
      ok_ = false;
      return {};
    }
    return {from, length};
  }
  std::string Text() { return Text(Get<uint32_t>()); }
  std::string Signature() { return Text(Get<uint8_t>()); }

  /// A value of a basic type as text. Fails for another.
  std::string Basic(char type) {
    switch (type) {
    case 'y':
      return std::to_string(Get<uint8_t>());
    case 'n':
      return std::to_string(Get<int16_t>());
    case 'q':
      return std::to_string(Get<uint16_t>());
    case 'b':
    case 'h':
    case 'u':
      return std::to_string(Get<uint32_t>());
    case 'i':
      return std::to_string(Get<int32_t>());
    case 'x':
      return std::to_string(Get<int64_t>());
    case 't':
      return std::to_string(Get<uint64_t>());
    case 'd':
      return std::to_string(Get<double>());
    case 's':
    case 'o':
      return Text();
    case 'g':
      return Signature();
    default:
      ok_ = false;
      return {};
    }
  }

private:
  const char* Take(size_t count) {
    if (!ok_ || count > size_ - at_) {
      ok_ = false;
      return nullptr;
    }
    const char* from = data_ + at_;
    at_ += count;
    return from;
  }

  const char* data_;
  size_t size_;
  size_t at_ = 0;
  bool ok_ = true;
};

bool IsBasic(char type) {
  return strchr("ynqbhuixtdsog", type) != nullptr;
}

uint32_t Word(const char* data, size_t at) {
  uint32_t value;
  memcpy(&value, data + at, sizeof value);
  return value;
}

} // namespace

size_t MessageBytes(const char (&prefix)[kPrefixBytes]) {
  const size_t body = Word(prefix, 4), fields = Word(prefix, 12);
  if (prefix[0] != kLittleEndian || prefix[3] != kProtocolVersion) return 0;
  if (body > kMaxMessageBytes || fields > kMaxMessageBytes) return 0;
  const size_t all = Align(kPrefixBytes + fields, 8) + body;
  return all > kMaxMessageBytes ? 0 : all;
}

bool Parse(const char* data, size_t size, Message& out) {
  out = Message{};
  char prefix[kPrefixBytes];
  if (size < sizeof prefix) return false;
  memcpy(prefix, data, sizeof prefix);
  if (MessageBytes(prefix) != size) return false;
  out.type = static_cast<Type>(data[1]);
  out.serial = Word(data, 8);

  const size_t fields_end = kPrefixBytes + Word(data, 12);
  Reader reader(data, size);
  reader.Seek(kPrefixBytes);
  std::string signature;
  while (reader.ok() && reader.at() < fields_end) {
    reader.Pad(8);
    const uint8_t code = reader.Get<uint8_t>();
    const std::string type = reader.Signature();
    if (type.size() != 1) return false;
    std::string value = reader.Basic(type[0]);
    const bool text = type == "s" || type == "o" || type == "g";
    switch (code) { // "Header Fields"; others are to be passed over
    case 2:
      if (text) out.interface = std::move(value);
      break;
    case 3:
      if (text) out.member = std::move(value);
      break;
    case 4:
      if (text) out.error = std::move(value);
      break;
    case 5:
      if (type == "u") out.reply_serial = static_cast<uint32_t>(std::stoul(value));
      break;
    case 7:
      if (text) out.sender = std::move(value);
      break;
    case 8:
      if (text) signature = std::move(value);
      break;
    default:
      break;
    }
  }
  if (!reader.ok() || reader.at() != fields_end) return false;
  reader.Pad(8);
  for (const char type : signature) {
    if (!IsBasic(type)) break;
    out.arguments.push_back(reader.Basic(type));
  }
  return reader.ok();
}

uint32_t LastSerial(const std::string& calls) {
  uint32_t last = 0;
  for (size_t at = 0; at < calls.size();) {
    char prefix[kPrefixBytes];
    if (calls.size() - at < sizeof prefix) return 0;
    memcpy(prefix, calls.data() + at, sizeof prefix);
    const size_t size = MessageBytes(prefix);
    if (size == 0 || size > calls.size() - at) return 0;
    last = Word(prefix, 8);
    at += size;
  }
  return last;
}

Status Connection::Wait(short events) {
  for (;;) {
    const uint64_t now = MonotonicNs();
    if (now >= deadline_ns_) return Status::Fail(Op::kPoll, ETIMEDOUT, peer_.c_str());
    pollfd fd = {fd_.get(), events, 0};
    const int done = poll(&fd, 1, static_cast<int>((deadline_ns_ - now) / 1'000'000) + 1);
    if (done > 0) return Status::Ok();
    if (done < 0 && errno != EINTR) return Status::Fail(Op::kPoll, errno, peer_.c_str());
  }
}

Status Connection::Send(const std::string& messages) {
  for (size_t at = 0; at < messages.size();) {
    TSRUN_TRY(Wait(POLLOUT));
    const ssize_t sent = send(fd_.get(), messages.data() + at, messages.size() - at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EINTR && errno != EAGAIN) return Status::Fail(Op::kSendmsg, errno, peer_.c_str());
    if (sent > 0) at += static_cast<size_t>(sent);
  }
  return Status::Ok();
}

Status Connection::ReadExactly(char* out, size_t size) {
  for (size_t at = 0; at < size;) {
    TSRUN_TRY(Wait(POLLIN));
    const ssize_t got = recv(fd_.get(), out + at, size - at, MSG_DONTWAIT);
    if (got == 0) return Status::Fail(Op::kPeer, EPIPE, peer_.c_str());
    if (got < 0 && errno != EINTR && errno != EAGAIN) return Status::Fail(Op::kRecvmsg, errno, peer_.c_str());
    if (got > 0) at += static_cast<size_t>(got);
  }
  return Status::Ok();
}

Status Connection::ReadLine(std::string& out) {
  // Not a byte beyond its end: behind the last line there may be the first message.
  for (out.clear(); !out.ends_with("\r\n");) {
    if (out.size() >= kMaxLineBytes) return Status::Fail(Op::kLimit, EMSGSIZE, peer_.c_str(), kMaxLineBytes);
    TSRUN_TRY(Wait(POLLIN));
    char part[kMaxLineBytes];
    const ssize_t seen = recv(fd_.get(), part, sizeof part - out.size(), MSG_DONTWAIT | MSG_PEEK);
    const char* end = seen > 0 ? static_cast<const char*>(memchr(part, '\n', static_cast<size_t>(seen))) : nullptr;
    const size_t size =
        end == nullptr ? (seen > 0 ? static_cast<size_t>(seen) : 1) : static_cast<size_t>(end - part) + 1;
    TSRUN_TRY(ReadExactly(part, size)); // or says why there is nothing
    out.append(part, size);
  }
  out.resize(out.size() - 2);
  return Status::Ok();
}

Status Connection::Open(const std::string& socket) {
  peer_ = socket;
  TSRUN_TRY(ConnectPath(socket.c_str(), fd_));
  // Without an identity of our own it is the one that the kernel vouches for: in a user namespace we would not know the
  // number that the other side knows us by. All at once, as systemd's own clients do: to a message that comes together
  // with BEGIN systemd answers only when it is woken again.
  static constexpr char kAuthenticate[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
  TSRUN_TRY(Send({kAuthenticate, sizeof kAuthenticate - 1}));
  std::string line;
  TSRUN_TRY(ReadLine(line));
  if (line == "DATA" || line.starts_with("DATA ")) TSRUN_TRY(ReadLine(line));
  return line.starts_with("OK ") ? Status::Ok() : Status::Fail(Op::kVerify, EACCES, socket.c_str(), 0, line.c_str());
}

Status Connection::Receive(Message& out) {
  char prefix[kPrefixBytes];
  TSRUN_TRY(ReadExactly(prefix, sizeof prefix));
  const size_t size = MessageBytes(prefix);
  const auto none = [&] {
    return Status::Fail(Op::kVerify, EPROTO, peer_.c_str(), 0, "what it says is no D-Bus message, or too long");
  };
  if (size == 0) return none();
  std::string message(size, '\0');
  memcpy(message.data(), prefix, sizeof prefix);
  TSRUN_TRY(ReadExactly(message.data() + sizeof prefix, size - sizeof prefix));
  return Parse(message.data(), message.size(), out) ? Status::Ok() : none();
}

} // namespace tsrun::dbus
