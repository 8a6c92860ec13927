#pragma once
#include <string>
#include <vector>

#include "addon/base/status.h"

namespace tsrun {

/// What one sysctl says, or why it cannot be read.
struct SysctlValue {
  int err = 0;
  std::string text;
};

/// Reads files of /proc/sys as a process of these namespaces would see them: the kernel shows each reader the values of
/// the reader's own network, IPC and UTS namespace (sysctl(5)). Not a step: nothing is changed by it.
///
/// `namespaces` are descriptors of namespaces, `files` are relative to /proc/sys. The /proc is ours, so that nothing of
/// what the container has mounted is opened. Fails when a namespace cannot be entered; a file that cannot be read is a
/// value with `err`.
Status ReadSysctls(const std::vector<int>& namespaces, const std::vector<std::string>& files,
                   std::vector<SysctlValue>& out);

} // namespace tsrun
