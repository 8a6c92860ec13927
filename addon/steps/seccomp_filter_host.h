#pragma once
#include <linux/filter.h>

#include <string>
#include <vector>

#include "addon/abi/plan.gen.h"
#include "addon/base/status.h"

namespace tsrun {

/// The version of libseccomp, as "2.5.4".
std::string LibseccompVersion();

/// Whether libseccomp knows this SCMP_ARCH_* number at all; it may still not fit beside the native architecture.
bool KnowsArchitecture(uint32_t arch);

/// Compiles the profile of the step into a filter of at most BPF_MAXINSNS instructions.
Status CompileFilter(const abi::SeccompCompile& step, std::vector<sock_filter>& filter);

} // namespace tsrun
