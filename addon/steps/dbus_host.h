#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "addon/base/status.h"
#include "addon/base/unique_fd.h"

/// As much of D-Bus (dbus.freedesktop.org/doc/dbus-specification.html) as sending calls that TypeScript has encoded,
/// and understanding the answers, takes. Messages are little-endian: those of the plan, and of whoever runs on this
/// machine.
namespace tsrun::dbus {

enum class Type : uint8_t { kCall = 1, kReturn = 2, kError = 3, kSignal = 4 };

struct Message {
  Type type{};
  uint32_t serial = 0;
  uint32_t reply_serial = 0; // of the call that it answers
  std::string interface, member, error, sender;
  /// The arguments up to the first that is neither a number nor a text; numbers in decimal.
  std::vector<std::string> arguments;

  [[nodiscard]] const char* text(size_t argument) const {
    return argument < arguments.size() ? arguments[argument].c_str() : "";
  }
};

/// What a message may have for its whole length: much more than a service manager says.
inline constexpr size_t kMaxMessageBytes = size_t{1} << 20;
/// Bytes of a message that say how long it is.
inline constexpr size_t kPrefixBytes = 16;

/// The length of the message that begins so; 0 when its beginning is none, or it is longer than kMaxMessageBytes.
size_t MessageBytes(const char (&prefix)[kPrefixBytes]);

/// Reads a message of just this length. False when it is none.
bool Parse(const char* data, size_t size, Message& out);

/// The serial of the last message in `calls`, 0 when they are no messages.
uint32_t LastSerial(const std::string& calls);

/// A connection to the peer behind a unix socket, all of which ends at a deadline (CLOCK_MONOTONIC nanoseconds).
class Connection {
public:
  Connection(std::string peer, uint64_t deadline_ns) : peer_(std::move(peer)), deadline_ns_(deadline_ns) {}

  /// Connects and authenticates as whom the kernel says that we are.
  Status Open(const std::string& socket);
  /// Sends encoded messages.
  Status Send(const std::string& messages);
  Status Receive(Message& out);

private:
  Status Wait(short events);
  Status ReadExactly(char* out, size_t size);
  Status ReadLine(std::string& out);

  std::string peer_; // for messages
  uint64_t deadline_ns_;
  UniqueFd fd_;
};

} // namespace tsrun::dbus
