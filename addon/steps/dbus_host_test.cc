#include "addon/steps/dbus_host.h"

#include "addon/base/test.h"

using namespace tsrun::dbus;

namespace {

/// Makes messages as another side could send them.
struct Maker {
  std::string bytes;

  Maker& Pad(size_t to) {
    while (bytes.size() % to != 0)
      bytes += '\0';
    return *this;
  }
  Maker& U32(uint32_t value) {
    Pad(4).bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Maker& Text(const std::string& text) {
    U32(static_cast<uint32_t>(text.size())).bytes.append(text).push_back('\0');
    return *this;
  }
  Maker& Field(char code, const std::string& type) {
    Pad(8);
    bytes += code;
    bytes += static_cast<char>(type.size());
    bytes += type;
    bytes += '\0';
    return *this;
  }
  void Put(size_t at, uint32_t value) { memcpy(bytes.data() + at, &value, sizeof value); }
};

std::string JobRemoved(const char* result = "done") {
  Maker made;
  made.bytes = {'l', 4, 1, 1};
  made.U32(0).U32(77).U32(0);
  made.Field(1, "o").Text("/org/freedesktop/systemd1");
  made.Field(2, "s").Text("org.freedesktop.systemd1.Manager");
  made.Field(3, "s").Text("JobRemoved");
  made.Field(7, "s").Text(":1.1");
  made.Field(9, "u").U32(0); // descriptors: to be passed over
  made.Field(8, "g").bytes += std::string("\4uoss", 6);
  made.Put(12, static_cast<uint32_t>(made.bytes.size() - kPrefixBytes));
  const size_t body = made.Pad(8).bytes.size();
  made.U32(4711).Text("/job/4711").Text("a.scope").Text(result);
  made.Put(4, static_cast<uint32_t>(made.bytes.size() - body));
  return made.bytes;
}

bool ParseCopy(const std::string& bytes, size_t size, Message& out) {
  // Of just that size, so that a byte too many is seen.
  const std::vector<char> copy(bytes.data(), bytes.data() + size);
  return Parse(copy.data(), copy.size(), out);
}

} // namespace

TEST(AMessageIsRead) {
  const std::string bytes = JobRemoved();
  Message message;
  CHECK(ParseCopy(bytes, bytes.size(), message));
  CHECK(message.type == Type::kSignal && message.serial == 77 && message.reply_serial == 0);
  CHECK(message.interface == "org.freedesktop.systemd1.Manager" && message.member == "JobRemoved");
  CHECK(message.sender == ":1.1");
  CHECK(message.arguments.size() == 4);
  CHECK(message.arguments[0] == "4711" && message.arguments[1] == "/job/4711" && message.arguments[3] == "done");
  CHECK(strcmp(message.text(4), "") == 0);
}

TEST(AMessageCutAnywhereIsNone) {
  const std::string bytes = JobRemoved();
  for (size_t size = 0; size < bytes.size(); size++) {
    std::string part = bytes.substr(0, size);
    Message message;
    CHECK(!ParseCopy(part, size, message));
    // Also when it says that it is just as long.
    if (size < kPrefixBytes) continue;
    for (const size_t fields : {size_t{0}, size - kPrefixBytes, size_t{152}, size_t{160}}) {
      const auto length = static_cast<uint32_t>(fields);
      memcpy(part.data() + 12, &length, sizeof length);
      const size_t body = (kPrefixBytes + fields + 7) / 8 * 8;
      const auto rest = static_cast<uint32_t>(size > body ? size - body : 0);
      memcpy(part.data() + 4, &rest, sizeof rest);
      (void)ParseCopy(part, size, message);
    }
  }
}

TEST(BytesThatLieAreNotReadBeyondTheEnd) {
  const std::string bytes = JobRemoved();
  for (size_t at = 0; at < bytes.size(); at++)
    for (const unsigned char wrong : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(wrong);
      Message message;
      if (ParseCopy(changed, changed.size(), message)) CHECK(message.arguments.size() <= 16);
    }
}

TEST(OtherByteOrdersVersionsAndLengthsAreRefused) {
  const std::string bytes = JobRemoved();
  const auto with = [&](size_t at, const std::string& value) {
    char prefix[kPrefixBytes];
    memcpy(prefix, bytes.data(), sizeof prefix);
    memcpy(prefix + at, value.data(), value.size());
    return MessageBytes(prefix);
  };
  CHECK(with(0, "l") == bytes.size());
  CHECK(with(0, "B") == 0);
  CHECK(with(3, "\2") == 0);
  CHECK(with(4, std::string("\xff\xff\xff\xff", 4)) == 0);
  CHECK(with(12, std::string("\xff\xff\xff\xff", 4)) == 0);
  CHECK(with(4, std::string("\0\0\x10\0", 4)) == 0); // with what is before it over the bound
}

TEST(TheLastSerialOfSeveralMessages) {
  std::string calls = JobRemoved() + JobRemoved();
  CHECK(LastSerial(calls) == 77);
  calls[JobRemoved().size() + 8] = 5;
  CHECK(LastSerial(calls) == 5);
  CHECK(LastSerial("") == 0);
  CHECK(LastSerial(calls + "x") == 0);
  CHECK(LastSerial(calls.substr(0, calls.size() - 1)) == 0);
}

RUN_TESTS()
