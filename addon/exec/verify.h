#pragma once
#include "addon/abi/plan.gen.h"
#include "addon/base/status.h"

namespace tsrun {

/// A verified plan in memory that the caller keeps mapped.
struct PlanView {
  uint32_t host_steps = 0;
  uint32_t container_steps = 0;
  uint32_t slots = 0;
  const char* first_host = nullptr;
  const char* first_container = nullptr;
};

/// Checks every byte that a step will rely on, before step 0: magic, vocabulary, sizes, counts, known kinds on the
/// right side, text that ends where it says, slot numbers (CVE-2021-43784's class). `data` is 8-byte aligned. On
/// failure Op::kVerify with `detail` the offset of what is wrong and a word for it in `path`.
Status VerifyPlan(const char* data, size_t size, PlanView& view);

} // namespace tsrun
