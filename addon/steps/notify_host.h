#pragma once
#include <string>

#include "addon/base/status.h"
#include "addon/base/unique_fd.h"

/// sd_notify(3) between a container and the service manager of tsrun's caller.
namespace tsrun::notify {

/// How long a service manager may take to say that it has taken a message in; one that does not know BARRIER=1 never
/// does.
inline constexpr int kBarrierMs = 30'000;

/// Reads the datagrams that are there. `ready` becomes the first line READY=…, if there is one.
Status Read(int socket, std::string& ready);

/// Tells the address (a path, or @name) the line and MAINPID=pid. `barrier` hangs up when all of it is taken in.
Status Tell(const std::string& address, const std::string& ready, uint64_t pid, UniqueFd& barrier);

} // namespace tsrun::notify
