#pragma once
#include <cstdio>
#include <vector>

/// The least a C++ test needs: TEST(name) { CHECK(condition); } and SKIP("reason"); RUN_TESTS() is the main function.
namespace tsrun::test {

struct Case {
  const char* name;
  void (*run)();
};
inline std::vector<Case> cases;
inline int failures_here = 0;
inline const char* skip_reason = nullptr;

struct Register {
  Register(const char* name, void (*run)()) { cases.push_back({name, run}); }
};

inline int RunAll(const char* file) {
  int passed = 0, failed = 0, skipped = 0;
  for (const Case& one : cases) {
    failures_here = 0;
    skip_reason = nullptr;
    one.run();
    if (failures_here > 0) {
      failed++;
      printf("not ok %s: %s\n", file, one.name);
    } else if (skip_reason != nullptr) {
      skipped++;
      printf("skipped %s: %s: %s\n", file, one.name, skip_reason);
    } else {
      passed++;
    }
  }
  printf("%s\n%d passed, %d failed, %d skipped\n", file, passed, failed, skipped);
  return failed > 0 ? 1 : 0;
}

} // namespace tsrun::test

#define TEST(name)                                                                                                     \
  static void Test_##name();                                                                                           \
  static const ::tsrun::test::Register register_##name(#name, Test_##name);                                            \
  static void Test_##name()
#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      ::tsrun::test::failures_here++;                                                                                  \
      printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                           \
    }                                                                                                                  \
  } while (0)
#define SKIP(reason)                                                                                                   \
  do {                                                                                                                 \
    ::tsrun::test::skip_reason = reason;                                                                               \
    return;                                                                                                            \
  } while (0)
#define RUN_TESTS()                                                                                                    \
  int main() {                                                                                                         \
    return ::tsrun::test::RunAll(__FILE__);                                                                            \
  }
