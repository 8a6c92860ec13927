#include "addon/steps/criu_response_host.h"

namespace tsrun::criu {
namespace {

/// The fields of one protobuf message, one after another (protobuf.dev, "Encoding").
class Fields {
public:
  Fields(const uint8_t* first, size_t count) : at_(first), end_(first + count) {}

  uint64_t number = 0;
  uint64_t value = 0;            // of an integer
  const uint8_t* data = nullptr; // of text or a message
  size_t size = 0;

  /// Goes to the next field; false at the end, or at what is no field.
  bool Next() {
    if (at_ == end_) return false;
    uint64_t key;
    if (!Varint(key)) return Fail();
    number = key >> 3;
    data = nullptr;
    value = size = 0;
    switch (key & 7) {
    case 0:
      return Varint(value) || Fail();
    case 1:
      return Skip(8);
    case 2: {
      uint64_t length;
      if (!Varint(length) || length > static_cast<size_t>(end_ - at_)) return Fail();
      data = at_;
      size = static_cast<size_t>(length);
      at_ += size;
      return true;
    }
    case 5:
      return Skip(4);
    default:
      return Fail();
    }
  }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::string text() const {
    return data == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(data), size);
  }

private:
  bool Varint(uint64_t& out) {
    out = 0;
    for (unsigned shift = 0; shift < 64 && at_ < end_; shift += 7) {
      const uint8_t byte = *at_++;
      out |= uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) return true;
    }
    return false;
  }
  bool Skip(size_t count) {
    if (count > static_cast<size_t>(end_ - at_)) return Fail();
    at_ += count;
    return true;
  }
  bool Fail() {
    ok_ = false;
    return false;
  }

  const uint8_t* at_;
  const uint8_t* end_;
  bool ok_ = true;
};

} // namespace

bool Parse(const uint8_t* data, size_t size, Response& out) {
  out = {};
  Fields fields(data, size);
  while (fields.Next()) {
    switch (fields.number) {
    case 1:
      out.type = fields.value;
      break;
    case 2:
      out.success = fields.value != 0;
      break;
    case 5: {
      Fields notify(fields.data, fields.size);
      while (notify.Next()) {
        if (notify.number == 1) out.script = notify.text();
        if (notify.number == 2) out.pid = notify.value;
      }
      if (!notify.ok()) return false;
      break;
    }
    case 7:
      out.err = fields.value;
      break;
    case 9:
      out.message = fields.text();
      break;
    default: // of a newer CRIU, or not for us
      break;
    }
  }
  return fields.ok();
}

} // namespace tsrun::criu
