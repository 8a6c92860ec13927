#pragma once
#include "addon/base/sys.h"
#include "addon/exec/init_context.h"

namespace tsrun {

/// A procfs to write through: one of our own that nobody can mount over (fsopen, fsmount), or where the kernel refuses
/// that (nested user namespaces), /proc itself after checking that it is a procfs (CVE-2019-16884, CVE-2025-52881).
/// Kept in the context.
Status OpenProc(InitContext& ctx, int& fd);

} // namespace tsrun
