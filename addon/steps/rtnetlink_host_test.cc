#include "addon/steps/rtnetlink_host.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "addon/base/test.h"

using tsrun::Op;
using tsrun::Status;
using namespace tsrun::rtnetlink;

namespace {

/// Messages as the kernel could send them: a header of four bytes, then attributes.
struct Message {
  std::string bytes = "head";
  Message& Attribute(uint16_t type, const std::string& value, int length = -1) {
    const rtattr head = {
        .rta_len = static_cast<uint16_t>(length >= 0 ? static_cast<size_t>(length) : sizeof(rtattr) + value.size()),
        .rta_type = type};
    bytes.append(reinterpret_cast<const char*>(&head), sizeof head).append(value);
    bytes.resize(NLMSG_ALIGN(bytes.size()));
    return *this;
  }
  std::vector<tsrun::rtnetlink::Attribute> Parse(size_t size) const {
    // A copy of just that size, so that a byte too many is seen.
    reply = Reply(bytes.data(), size);
    return reply.Attributes(4);
  }
  mutable Reply reply{nullptr, 0};
};

} // namespace

TEST(AttributesAreReadOneAfterAnother) {
  const Message message = Message().Attribute(1, "abc").Attribute(2 | NLA_F_NESTED, "").Attribute(3, "defgh");
  const auto found = message.Parse(message.bytes.size());
  CHECK(found.size() == 3);
  CHECK(found[0].type == 1 && std::string(found[0].data, found[0].size) == "abc");
  CHECK(found[1].type == 2 && found[1].size == 0);
  CHECK(found[2].type == 3 && found[2].size == 5);
  CHECK(found[0].u32() == 0); // too short for a number
}

TEST(MessagesCutAnywhereAreNotReadBeyondTheirEnd) {
  const Message message = Message().Attribute(1, "abcd").Attribute(2, "efghij").Attribute(3, "k");
  for (size_t size = 0; size <= message.bytes.size(); size++)
    for (const auto& attribute : message.Parse(size))
      CHECK(std::string(attribute.data, attribute.size).size() == attribute.size);
}

TEST(LengthsThatLieEndTheList) {
  for (const int length : {0, 1, 3, 200, 0xffff}) {
    const Message message = Message().Attribute(1, "ab").Attribute(2, "x", length).Attribute(3, "y");
    CHECK(message.Parse(message.bytes.size()).size() == 1);
  }
}

TEST(RequestsArePaddedAndKnowTheirLength) {
  Request request(RTM_GETLINK, 0, ifinfomsg{});
  CHECK(request.head().nlmsg_len == NLMSG_LENGTH(sizeof(ifinfomsg)));
  request.AddText(IFLA_IFNAME, "lo").Add(IFLA_MTU, uint32_t{7});
  CHECK(request.size() % NLMSG_ALIGNTO == 0);
  CHECK(request.head().nlmsg_len == request.size());
  const Reply reply(request.data() + NLMSG_HDRLEN, request.size() - NLMSG_HDRLEN);
  const auto found = reply.Attributes(sizeof(ifinfomsg));
  CHECK(found.size() == 2);
  CHECK(std::string(found[0].data) == "lo" && found[0].size == 3);
  CHECK(found[1].u32() == 7);
}

TEST(TheKernelAnswers) {
  Socket socket;
  CHECK(socket.Open().ok());
  Request list(RTM_GETLINK, 0, ifinfomsg{});
  std::vector<Reply> links;
  CHECK(socket.Dump(list, "links", links).ok());
  CHECK(!links.empty());
  Request one(RTM_GETLINK, 0, ifinfomsg{});
  one.AddText(IFLA_IFNAME, "lo");
  Reply reply(nullptr, 0);
  CHECK(socket.Get(one, "lo", reply).ok());
  ifinfomsg info{};
  CHECK(reply.Get(info) && info.ifi_index > 0);
  // The answer to the next request is not the rest of the last one's.
  one = Request(RTM_GETLINK, 0, ifinfomsg{});
  one.AddText(IFLA_IFNAME, "no-such-device");
  const Status missing = socket.Get(one, "no-such-device", reply);
  CHECK(missing.op == Op::kRtnetlink && missing.err == ENODEV);
}

TEST(ARefusalComesWithTheKernelsWords) {
  Socket socket;
  CHECK(socket.Open().ok());
  ifinfomsg strange{};
  strange.ifi_change = 1;
  Request request(RTM_GETLINK, 0, strange);
  request.AddText(IFLA_IFNAME, "lo");
  Reply reply(nullptr, 0);
  const Status refused = socket.Get(request, "lo", reply);
  CHECK(refused.op == Op::kRtnetlink && refused.err == EINVAL);
  CHECK(strstr(refused.text, "header") != nullptr);
}

RUN_TESTS()
