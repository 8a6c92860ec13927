#pragma once
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "addon/abi/plan.gen.h"

namespace tsrun {

using abi::Op;

/// The result of one step, or of a part of one: fine, or the operation that failed with its errno and the path (or
/// name) it was about. `text` carries what a program said (a hook's output). Allocates nothing; text is made in
/// TypeScript.
struct [[nodiscard]] Status {
  static constexpr size_t kPathBytes = 256;
  static constexpr size_t kTextBytes = 1024;

  Op op = Op::kNone;
  int err = 0;
  int64_t detail = 0; // exit status, signal, or what the operation documents

  char path[kPathBytes]; // NUL-terminated, cut at the front when too long; only valid when !ok()
  char text[kTextBytes]; // NUL-terminated; only valid when !ok()

  Status() {} // path and text stay uninitialised: a step that succeeds pays nothing for them

  [[nodiscard]] bool ok() const { return op == Op::kNone; }

  static Status Ok() { return {}; }

  /// A failed operation. Capture errno on the line after the call: `return Status::Fail(Op::kMount, errno, path);`
  static Status Fail(Op op, int err, const char* path = "", int64_t detail = 0, const char* text = "") {
    Status s;
    s.op = op;
    s.err = err;
    s.detail = detail;
    CopyTail(s.path, sizeof s.path, path);
    CopyTail(s.text, sizeof s.text, text);
    return s;
  }

private:
  /// Keeps the end of a text that is too long: the end of a path or of a program's output says most.
  static void CopyTail(char* to, size_t size, const char* from) {
    size_t length = strlen(from);
    size_t skip = length < size ? 0 : length - (size - 1);
    memcpy(to, from + skip, length - skip + 1);
  }
};

} // namespace tsrun

/// Returns the failure of a call that gives a Status.
#define TSRUN_TRY(expression)                                                                                          \
  do {                                                                                                                 \
    ::tsrun::Status try_status_ = (expression);                                                                        \
    if (!try_status_.ok()) return try_status_;                                                                         \
  } while (0)
