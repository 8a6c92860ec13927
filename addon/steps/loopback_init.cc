#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "addon/base/sys.h"
#include "addon/exec/init_context.h"

namespace tsrun {

Status Run(InitContext&, const abi::NetLoopback&) {
  UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  // A kernel without IPv4 has no loopback that this could bring up.
  if (!fd.valid() && errno == EAFNOSUPPORT) return Status::Ok();
  if (!fd.valid()) return Status::Fail(Op::kSocket, errno, "lo");
  ifreq request{};
  memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
  if (ioctl(fd.get(), SIOCSIFFLAGS, &request) != 0) return Status::Fail(Op::kIoctl, errno, "lo");
  return Status::Ok();
}

} // namespace tsrun
