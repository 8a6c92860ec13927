#pragma once
#include <linux/filter.h>

#include <vector>

#include "addon/abi/plan.gen.h"
#include "addon/base/status.h"

namespace tsrun {

/// Compiles the profile of the step into a filter of at most BPF_MAXINSNS instructions.
Status CompileFilter(const abi::SeccompCompile& step, std::vector<sock_filter>& filter);

} // namespace tsrun
