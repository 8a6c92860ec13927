#pragma once
#include <linux/netlink.h>

#include <functional>
#include <string>
#include <vector>

#include "addon/base/status.h"
#include "addon/base/unique_fd.h"

/// The kernel's routing socket (rtnetlink(7)), as far as moving network devices needs it.
namespace tsrun::rtnetlink {

/// One request: the type's own structure, then attributes.
class Request {
public:
  template <typename Header> Request(uint16_t type, uint16_t flags, const Header& header) : data_(sizeof(nlmsghdr)) {
    head().nlmsg_type = type;
    head().nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    Append(&header, sizeof header);
  }

  Request& Add(uint16_t type, const void* value, size_t size);
  template <typename Value> Request& Add(uint16_t type, const Value& value) { return Add(type, &value, sizeof value); }
  /// With its NUL.
  Request& AddText(uint16_t type, const std::string& text) { return Add(type, text.c_str(), text.size() + 1); }

  nlmsghdr& head() { return *reinterpret_cast<nlmsghdr*>(data_.data()); } // there from the start, in aligned memory
  [[nodiscard]] const char* data() const { return data_.data(); }
  [[nodiscard]] size_t size() const { return data_.size(); }

private:
  void Append(const void* value, size_t size);
  std::vector<char> data_; // padded to a multiple of NLMSG_ALIGNTO
};

/// One attribute in a message of the kernel's.
struct Attribute {
  uint16_t type;
  const char* data;
  size_t size;

  /// A number at the start of the value, 0 if that is too short.
  [[nodiscard]] uint32_t u32() const;
};

/// A message of the kernel's: what follows its header.
class Reply {
public:
  Reply(const char* data, size_t size) : data_(data, data + size) {}
  /// The type's own structure. False if the message is too short for it.
  template <typename Header> [[nodiscard]] bool Get(Header& header) const {
    if (data_.size() < sizeof header) return false;
    memcpy(&header, data_.data(), sizeof header);
    return true;
  }
  /// The attributes behind a structure of this size.
  [[nodiscard]] std::vector<Attribute> Attributes(size_t header_size) const;

private:
  std::vector<char> data_;
};

class Socket {
public:
  /// In the network namespace of the calling thread.
  Status Open();
  /// In another one, which it keeps alive. A thread of its own goes there: the caller's never does.
  Status OpenIn(int netns);

  /// Sends a request and waits for the kernel's answer. Op::kRtnetlink with its errno and words; `about` is for the
  /// failure.
  Status Do(Request& request, const char* about);
  /// Sends a request for one message.
  Status Get(Request& request, const char* about, Reply& out);
  /// Asks for all objects of a kind; begins again when they changed meanwhile.
  Status Dump(Request& request, const char* about, std::vector<Reply>& out);

private:
  Status Send(Request& request, const char* about);
  /// Reads messages until the one that ends the answer. `interrupted`: what was listed has changed meanwhile.
  Status Receive(const char* about, std::vector<Reply>& out, bool& interrupted);

  UniqueFd fd_;
  uint32_t sequence_ = 0;
};

} // namespace tsrun::rtnetlink
