#pragma once
#include <sys/types.h>

#include "addon/base/status.h"
#include "addon/base/unique_fd.h"

/// Paths of the container, resolved below its root by descriptor. The image and every process that shares one of its
/// mounts may be hostile: links lead nowhere but inside, magic links nowhere at all, and what is made is made relative
/// to a descriptor of its parent (CVE-2021-30465, CVE-2024-45310, CVE-2025-24965, CVE-2026-41579).
namespace tsrun::in_root {

/// What a symbolic link on the way does; the last component counts.
enum class Links { kFollow, kRefuse };
enum class Kind { kDirectory, kFile };

/// Opens what is there. Op::kOpenat2 with the kernel's errno: ENOENT, ELOOP for a refused link.
Status Open(int root, const char* path, uint64_t flags, Links links, UniqueFd& out);

/// Opens (O_PATH) what is there, of whatever kind; what is missing is made, parents included. A link that points at
/// nothing is followed: what it names is made.
Status OpenOrMake(int root, const char* path, Kind kind, mode_t mode, Links links, UniqueFd& out, bool& existed);

/// Opens the directory of the last component, made if missing, and gives that component's name (never "", "." or "..").
Status OpenParent(int root, const char* path, UniqueFd& parent, const char*& name);

} // namespace tsrun::in_root
