#pragma once
#include <cstdint>
#include <string>

namespace tsrun::criu {

/// What of a criu_resp (images/rpc.proto of CRIU) tells a client how things go on.
struct Response {
  /// criu_req_type: what is answered, or kNotify for a notification, which CRIU waits to be answered.
  static constexpr uint64_t kNotify = 6;
  static constexpr uint64_t kPreDump = 4;
  uint64_t type = 0;
  bool success = false;
  /// Of a notification: what happens (network-lock, post-restore, …), and the root process as CRIU sees it.
  std::string script;
  uint64_t pid = 0;
  /// Of a failure: an errno, or 0, and words.
  uint64_t err = 0;
  std::string message;
};

/// Reads a message. False for one that is none: cut off, or with a field of a kind that protobuf no longer has.
bool Parse(const uint8_t* data, size_t size, Response& out);

} // namespace tsrun::criu
