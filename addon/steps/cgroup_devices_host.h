#pragma once
#include <string>
#include <vector>

#include "addon/base/status.h"

namespace tsrun {

/// The tags of the device programs that are attached to a v2 cgroup, 16 hexadecimal digits each: the beginning of a
/// digest of a program's instructions as they were loaded (SHA-1, since Linux 6.18 SHA-256). Changes nothing.
Status DeviceProgramTags(const std::string& hierarchy, const std::string& path, std::vector<std::string>& out);

} // namespace tsrun
