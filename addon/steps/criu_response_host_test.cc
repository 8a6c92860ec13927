#include "addon/steps/criu_response_host.h"

#include <vector>

#include "addon/base/test.h"

namespace tsrun::criu {
namespace {

bool ParseBytes(const std::vector<uint8_t>& bytes, Response& out) {
  return Parse(bytes.data(), bytes.size(), out);
}

TEST(a_notification) {
  Response response;
  // type 6, success, notify {script "a-b", pid 300}, and a field 15 of eight bytes that nobody knows.
  CHECK(ParseBytes({0x08, 6, 0x10, 1, 0x2a, 8, 0x0a, 3, 'a', '-', 'b', 0x10, 0xac, 2, 0x79, 1, 2, 3, 4, 5, 6, 7, 8},
                   response));
  CHECK(response.type == Response::kNotify && response.success);
  CHECK(response.script == "a-b" && response.pid == 300 && response.err == 0);
}

TEST(a_failure) {
  Response response;
  CHECK(ParseBytes({0x08, 2, 0x10, 0, 0x38, 17, 0x4a, 2, 'n', 'o'}, response));
  CHECK(response.type == 2 && !response.success && response.err == 17 && response.message == "no");
}

TEST(what_is_cut_off_or_leads_outside_is_no_message) {
  Response response;
  const std::vector<uint8_t> whole = {0x10, 1, 0x2a, 5, 0x0a, 3, 'a', '-', 'b'};
  for (size_t size = 0; size < whole.size(); size++) {
    const bool between = size == 0 || size == 2;
    CHECK(Parse(whole.data(), size, response) == between);
  }
  CHECK(!ParseBytes({0x2a, 3, 0x0a, 9, 'a'}, response));
  CHECK(!ParseBytes({0x2a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, response));
  CHECK(!ParseBytes({0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, response));
  CHECK(!ParseBytes({0x0b}, response)); // a group
  CHECK(!ParseBytes({0x0d, 1, 2, 3}, response));
  // A message where text should be is none.
  CHECK(ParseBytes({0x28, 1}, response) && response.script.empty());
}

} // namespace
} // namespace tsrun::criu

RUN_TESTS()
