#pragma once
#include <string>
#include <unordered_set>

#include "addon/base/status.h"

namespace tsrun::extract {

/// Inode numbers of one file system.
using Inodes = std::unordered_set<uint64_t>;

/// Removes a file or a whole directory, however deep, by descriptor; nothing there is fine. Nobody else may change the
/// tree meanwhile: that is noticed (Op::kVerify), not prevented.
Status RemoveTree(int parent, const char* name);

/// Removes what is under a name except `kept` and the directories on the way to it.
Status RemoveExcept(int parent, const char* name, const Inodes& kept);

/// The same for everything in a directory.
Status RemoveInsideExcept(int directory, const Inodes& kept);

} // namespace tsrun::extract
