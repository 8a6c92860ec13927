#pragma once
#include <functional>
#include <string>
#include <vector>

#include "addon/abi/record.h"
#include "addon/base/status.h"
#include "addon/base/unique_fd.h"

/// Cgroups as directories. Everything is opened by descriptor below a hierarchy whose file system type was checked,
/// never through a link, a mount or ".." (GHSA-5g49-rx9x-qfc6's class).
namespace tsrun::cgroup {

/// A mounted hierarchy.
struct Hierarchy {
  UniqueFd fd; // O_PATH
  int version = 0;
};
Status OpenHierarchy(abi::Str mount_point, Hierarchy& out);

/// The names in an absolute path; "/" has none. Fails for an empty name, "." and "..".
Status SplitPath(abi::Str path, std::vector<std::string>& names);

/// Opens the directory (O_PATH) of a cgroup. The failure's errno is ENOENT when there is none.
Status OpenCgroup(abi::Str hierarchy, abi::Str path, UniqueFd& out, int* version = nullptr);

/// The path of a file of a cgroup, or of the cgroup itself, for messages.
std::string Where(abi::Str hierarchy, abi::Str path, const char* file = nullptr);

/// Opens a path below a directory; -1 and errno.
int OpenBelow(int directory, const char* path, int flags);

/// Reads a file whole. `where` is for the failure.
Status ReadFile(int directory, const char* name, const std::string& where, std::string& out);
/// Writes a value in one write(2), as control files want it. The failure says the value.
Status WriteFile(int directory, const char* name, const std::string& where, const char* value, size_t size);

/// The words of a text, at blanks and line ends.
std::vector<std::string> Words(const std::string& text);

/// Whether a status is about a cgroup or process that has gone meanwhile.
bool IsGone(const Status& status);

/// Calls `visit` for a cgroup and all those below it, parents first. What vanishes meanwhile is passed over. One
/// descriptor, no recursion: a container may have made its tree as deep as it liked.
Status Walk(int top, const std::string& where, const std::function<Status(int directory)>& visit);

/// The processes of one cgroup, without those below it; 0 (a process of another pid namespace) is left out.
Status Processes(int directory, const std::string& where, std::vector<int>& out);

/// Sends a signal to every process of the tree; with SIGKILL until no new one appears.
Status SignalTree(int top, const std::string& where, int signal);

/// Removes the cgroup `name` of `parent` and those below it, waiting for processes that are about to end. One that is
/// not there is fine.
Status RemoveTree(int parent, const std::string& name, const std::string& where, uint64_t timeout_ms);

} // namespace tsrun::cgroup
