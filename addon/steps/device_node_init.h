#pragma once
#include "addon/exec/init_context.h"

namespace tsrun {

/// Opens the container's /dev/null, once, and checks that it is the kernel's null device: an image may have put
/// anything there (CVE-2025-31133, CVE-2025-52881). O_PATH.
Status OpenNullDevice(InitContext& ctx, int& fd);

} // namespace tsrun
