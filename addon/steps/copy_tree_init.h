#pragma once
#include "addon/base/status.h"

namespace tsrun {

/// Copies a directory's content, mode, owner and times into another directory, both open (O_PATH), by descriptors from
/// there on: no link is followed. Files, directories, links, fifos; devices and sockets are left out, as a copy of one
/// would be something else. Hard links become files of their own, extended attributes stay behind.
Status CopyTree(int from, int to);

} // namespace tsrun
