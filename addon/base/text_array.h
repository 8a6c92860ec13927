#pragma once
#include <sys/mman.h>

#include "addon/abi/record.h"
#include "addon/base/status.h"

namespace tsrun {

/// The NULL-terminated array of pointers that execve wants, made of a list in the plan. In an anonymous mapping, since
/// tsrun-init allocates nothing and a list may be long.
class TextArray {
public:
  TextArray() = default;
  TextArray(const TextArray&) = delete;
  TextArray& operator=(const TextArray&) = delete;
  ~TextArray() {
    if (pointers_ != nullptr) munmap(pointers_, bytes_);
  }

  /// `extra` is one more entry at the end, or null.
  Status Fill(const abi::Strs& texts, const char* extra = nullptr) {
    bytes_ = (size_t{texts.size} + 2) * sizeof(char*);
    void* mapping = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) return Status::Fail(Op::kMmap, errno, "arguments");
    pointers_ = static_cast<char**>(mapping);
    // execve takes char* but does not write; the plan is mapped read-only.
    for (uint32_t i = 0; i < texts.size; i++)
      pointers_[i] = const_cast<char*>(texts[i].data);
    pointers_[texts.size] = const_cast<char*>(extra);
    return Status::Ok();
  }
  [[nodiscard]] char** get() const { return pointers_; }

private:
  char** pointers_ = nullptr; // null, or a mapping of bytes_ that is ours
  size_t bytes_ = 0;
};

} // namespace tsrun
