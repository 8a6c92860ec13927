// net.moveDevice. The kernel keeps a device's own attributes (address of the hardware, MTU, queues, …) when it changes
// its namespace, but takes it down and drops its addresses, routes and master.
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/stat.h>

#include <memory>

#include "addon/base/sys.h"
#include "addon/exec/host_context.h"
#include "addon/steps/rtnetlink_host.h"

// <linux/if_link.h> and <net/if.h> cannot be in one file; these are from the former.
#ifndef IFLA_NET_NS_FD
#define IFLA_NET_NS_FD 28
#endif
#ifndef IFLA_NEW_IFINDEX
#define IFLA_NEW_IFINDEX 49 // taken since Linux 5.13, ignored before
#endif

namespace tsrun {
namespace {

using rtnetlink::Attribute;
using rtnetlink::Reply;
using rtnetlink::Request;
using rtnetlink::Socket;

/// Numbers tried for a template; the kernel itself goes to 32768, which nobody wants to wait for.
constexpr int kMaxNumbers = 1024;

struct Link {
  int index = 0;
  unsigned flags = 0;
  uint32_t master = 0; // index of the bridge, bond or the like it is a port of; 0: none
};

Status GetLink(Socket& socket, const std::string& name, Link& out) {
  Request request(RTM_GETLINK, 0, ifinfomsg{});
  request.AddText(IFLA_IFNAME, name);
  Reply reply(nullptr, 0);
  TSRUN_TRY(socket.Get(request, name.c_str(), reply));
  ifinfomsg info;
  if (!reply.Get(info)) return Status::Fail(Op::kVerify, EPROTO, name.c_str());
  out = {.index = info.ifi_index, .flags = info.ifi_flags};
  for (const Attribute& attribute : reply.Attributes(sizeof info))
    if (attribute.type == IFLA_MASTER) out.master = attribute.u32();
  return Status::Ok();
}

Request LinkRequest(int index, unsigned flags, unsigned change) {
  ifinfomsg info{};
  info.ifi_family = AF_UNSPEC;
  info.ifi_index = index;
  info.ifi_flags = flags;
  info.ifi_change = change;
  return {RTM_SETLINK, 0, info};
}

Status SetUp(Socket& socket, int index, const char* name) {
  Request request = LinkRequest(index, IFF_UP, IFF_UP);
  return socket.Do(request, name);
}

/// The addresses of a device, in the kernel's order, in which the first of a subnet is its primary one.
Status GetAddresses(Socket& socket, const Link& link, const char* name, std::vector<Reply>& out) {
  ifaddrmsg wanted{};
  wanted.ifa_index = static_cast<uint32_t>(link.index);
  Request request(RTM_GETADDR, 0, wanted);
  std::vector<Reply> all;
  TSRUN_TRY(socket.Dump(request, name, all));
  for (Reply& reply : all) {
    ifaddrmsg header;
    if (reply.Get(header) && header.ifa_index == wanted.ifa_index) out.push_back(std::move(reply));
  }
  return Status::Ok();
}

uint32_t AddressFlags(const Reply& address, const ifaddrmsg& header) {
  for (const Attribute& attribute : address.Attributes(sizeof header))
    if (attribute.type == IFA_FLAGS) return attribute.u32();
  return header.ifa_flags; // the lower eight only
}

/// config-linux.md, Network Devices: what goes along are permanent addresses of global scope, of every family.
bool GoesAlong(const Reply& address) {
  ifaddrmsg header;
  return address.Get(header) && header.ifa_scope == RT_SCOPE_UNIVERSE &&
         (AddressFlags(address, header) & IFA_F_PERMANENT) != 0;
}

/// "eth0:1" for a device that is called otherwise now; "" for a label that is the name itself, as it is by default.
std::string NewLabel(const std::string& label, const std::string& old_name, const std::string& new_name) {
  if (label == old_name) return "";
  const std::string prefix = old_name + ":";
  if (label.compare(0, prefix.size(), prefix) != 0) return label;
  return (new_name + ":" + label.substr(prefix.size())).substr(0, IFNAMSIZ - 1);
}

/// Adds an address that a device had before.
Status AddAddress(Socket& socket, const Reply& address, int index, const std::string& old_name,
                  const std::string& new_name) {
  // What an administrator asks for; the others are a state, which comes by itself.
  constexpr uint32_t kAsked =
      IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN;
  ifaddrmsg header;
  if (!address.Get(header)) return Status::Fail(Op::kVerify, EPROTO, new_name.c_str());
  const uint32_t flags = AddressFlags(address, header) & kAsked;
  header.ifa_index = static_cast<uint32_t>(index);
  header.ifa_flags = static_cast<uint8_t>(flags);
  Request request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, header);
  request.Add(IFA_FLAGS, flags);
  for (const Attribute& attribute : address.Attributes(sizeof header)) {
    switch (attribute.type) {
    case IFA_LABEL: {
      const std::string label(attribute.data, strnlen(attribute.data, attribute.size));
      const std::string changed = NewLabel(label, old_name, new_name);
      if (!changed.empty()) request.AddText(IFA_LABEL, changed);
      break;
    }
    case IFA_LOCAL:
    case IFA_ADDRESS:
    case IFA_BROADCAST:
    case IFA_CACHEINFO: // how long it is preferred
    case IFA_RT_PRIORITY:
    case 11: // IFA_PROTO, Linux 5.18
      request.Add(attribute.type, attribute.data, attribute.size);
      break;
    default: // what only the kernel says
      break;
    }
  }
  return socket.Do(request, new_name.c_str());
}

/// Calls `visit` with every place of a route's message that names a device.
template <typename Visit> void ForEachInterface(const Attribute& attribute, Visit visit) {
  // The message is ours, in a buffer of its own; const is for those who only look.
  char* data = const_cast<char*>(attribute.data);
  if (attribute.type == RTA_OIF && attribute.size >= sizeof(int)) visit(data);
  if (attribute.type != RTA_MULTIPATH) return;
  for (size_t at = 0; at + sizeof(rtnexthop) <= attribute.size;) {
    rtnexthop hop;
    memcpy(&hop, data + at, sizeof hop);
    if (hop.rtnh_len < sizeof hop || hop.rtnh_len > attribute.size - at) return;
    visit(data + at + offsetof(rtnexthop, rtnh_ifindex));
    at += RTNH_ALIGN(hop.rtnh_len);
  }
}

/// The routes over a device that the kernel does not make by itself.
Status GetRoutes(Socket& socket, const Link& link, const char* name, std::vector<Reply>& out) {
  Request request(RTM_GETROUTE, 0, rtmsg{});
  std::vector<Reply> all;
  TSRUN_TRY(socket.Dump(request, name, all));
  for (Reply& reply : all) {
    rtmsg header;
    if (!reply.Get(header) || (header.rtm_flags & RTM_F_CLONED) != 0) continue;
    if (header.rtm_protocol == RTPROT_KERNEL || header.rtm_protocol == RTPROT_REDIRECT ||
        header.rtm_protocol == RTPROT_RA)
      continue;
    bool over_it = false;
    for (const Attribute& attribute : reply.Attributes(sizeof header))
      ForEachInterface(attribute, [&](const char* place) {
        int index;
        memcpy(&index, place, sizeof index);
        over_it |= index == link.index;
      });
    if (over_it) out.push_back(std::move(reply));
  }
  return Status::Ok();
}

bool HasGateway(const Reply& route) {
  for (const Attribute& attribute : route.Attributes(sizeof(rtmsg)))
    if (attribute.type == RTA_GATEWAY || attribute.type == RTA_VIA || attribute.type == RTA_MULTIPATH) return true;
  return false;
}

Status AddRoute(Socket& socket, const Reply& route, int old_index, int new_index, const char* name) {
  rtmsg header;
  if (!route.Get(header)) return Status::Fail(Op::kVerify, EPROTO, name);
  header.rtm_flags &= RTNH_F_ONLINK | RTNH_F_PERVASIVE;
  // Of a route with several devices the others may still be there.
  Request request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, header);
  for (const Attribute& attribute : route.Attributes(sizeof header)) {
    if (attribute.type == RTA_CACHEINFO) continue;
    ForEachInterface(attribute, [&](char* place) {
      int index;
      memcpy(&index, place, sizeof index);
      if (index == old_index) memcpy(place, &new_index, sizeof new_index);
    });
    request.Add(attribute.type, attribute.data, attribute.size);
  }
  return socket.Do(request, name);
}

/// A device on its way: what it was on the host, and where it is now.
struct Moved {
  std::string name;
  Link link;
  std::vector<Reply> addresses;
  std::vector<Reply> routes;
  UniqueFd host_netns, target_netns; // held: neither goes away while something can still be undone
  Socket host;
  Socket target;
  std::string target_name;
  int target_index = 0;
};

/// Moves a device back. Its number is what others on the host may know it by, so it keeps that, unless it is another's
/// by now (EBUSY). Before Linux 5.13 the kernel gives it one.
Status MoveBack(Moved& device, const std::string& name) {
  Status status;
  for (const int index : {device.link.index, 0}) {
    Request request = LinkRequest(device.target_index, 0, 0);
    request.Add(IFLA_NET_NS_FD, device.host_netns.get()).AddText(IFLA_IFNAME, name);
    if (index != 0 && index != device.target_index) request.Add(IFLA_NEW_IFINDEX, index);
    status = device.target.Do(request, name.c_str());
    if (status.err != EBUSY) break;
  }
  return status;
}

/// Everything as it was before the move. Each part on its own: what can be brought back is.
void Restore(Moved& device) {
  std::string name = device.name;
  Status status = MoveBack(device, name);
  // Its name is another's by now: called as the kernel does with the devices of a namespace that ends.
  for (int number = 0; status.err == EEXIST && number < kMaxNumbers; number++) {
    name = "dev" + std::to_string(number);
    status = MoveBack(device, name);
  }
  if (!status.ok()) return;
  Link link;
  if (!GetLink(device.host, name, link).ok()) return;
  if (device.link.master != 0) {
    Request request = LinkRequest(link.index, 0, 0);
    request.Add(IFLA_MASTER, device.link.master);
    (void)device.host.Do(request, name.c_str());
  }
  for (const Reply& address : device.addresses)
    (void)AddAddress(device.host, address, link.index, device.name, name);
  if ((device.link.flags & IFF_UP) == 0) return;
  (void)SetUp(device.host, link.index, name.c_str());
  // A gateway has to be reachable before a route can lead there.
  for (const bool with_gateway : {false, true})
    for (const Reply& route : device.routes)
      if (HasGateway(route) == with_gateway)
        (void)AddRoute(device.host, route, device.link.index, link.index, name.c_str());
}

/// Opens both namespaces, which must be two.
Status OpenNamespaces(HostContext& ctx, Moved& device) {
  device.host_netns.reset(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!device.host_netns.valid()) return Status::Fail(Op::kOpen, errno, "/proc/thread-self/ns/net");
  // The process is our child and not reaped: the pid is its own.
  char path[48] = "/proc/";
  const unsigned digits = sys::FormatU64(static_cast<uint64_t>(ctx.pid), path + 6);
  memcpy(path + 6 + digits, "/ns/net", sizeof "/ns/net");
  device.target_netns.reset(open(path, O_RDONLY | O_CLOEXEC));
  if (!device.target_netns.valid()) {
    const int err = errno;
    // A zombie has no namespaces any more: how it ended is what matters.
    Message last;
    if (err == ENOENT) TSRUN_TRY(ReceiveMessage(ctx, last));
    return Status::Fail(Op::kOpen, err, path);
  }
  struct stat ours, theirs;
  if (fstat(device.host_netns.get(), &ours) != 0 || fstat(device.target_netns.get(), &theirs) != 0)
    return Status::Fail(Op::kFstat, errno, path);
  if (ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino)
    return Status::Fail(Op::kVerify, EINVAL, path, 0, "the container's network namespace is tsrun's own");
  TSRUN_TRY(device.host.Open());
  return device.target.OpenIn(device.target_netns.get());
}

/// One attempt to move it under this name. Where its old name is free the kernel changes the name after the namespace:
/// when that fails, the device has moved all the same.
Status MoveAs(Moved& device, const std::string& name) {
  Link taken;
  const Status found = GetLink(device.target, name, taken);
  if (found.ok()) return Status::Fail(Op::kRtnetlink, EEXIST, name.c_str(), 0, "there is a device of that name");
  if (found.err != ENODEV) return found;
  Request request = LinkRequest(device.link.index, 0, 0);
  request.Add(IFLA_NET_NS_FD, device.target_netns.get()).AddText(IFLA_IFNAME, name);
  const Status status = device.host.Do(request, device.name.c_str());
  if (!status.ok()) {
    Link half;
    if (GetLink(device.target, device.name, half).ok() && !GetLink(device.host, device.name, taken).ok()) {
      device.target_index = half.index;
      Restore(device);
    }
    return status;
  }
  Link link;
  const Status there = GetLink(device.target, name, link);
  device.target_name = name;
  device.target_index = link.index;
  return there;
}

/// The name, or the first one of a template that is free (dev_alloc_name in the kernel).
Status MoveToName(Moved& device, const std::string& name) {
  const size_t place = name.find("%d");
  if (place == std::string::npos) return MoveAs(device, name);
  Status status = Status::Fail(Op::kRtnetlink, EEXIST, name.c_str(), 0, "all its numbers are taken");
  for (int number = 0; number < kMaxNumbers; number++) {
    std::string numbered = name;
    numbered.replace(place, 2, std::to_string(number));
    if (numbered.size() >= IFNAMSIZ) break;
    status = MoveAs(device, numbered);
    if (status.ok() || status.err != EEXIST) return status;
  }
  return status;
}

} // namespace

Status Run(HostContext& ctx, const abi::NetMoveDevice& step) {
  auto device = std::make_shared<Moved>();
  device->name = step.device.data;
  TSRUN_TRY(OpenNamespaces(ctx, *device));
  TSRUN_TRY(GetLink(device->host, device->name, device->link));
  TSRUN_TRY(GetAddresses(device->host, device->link, step.device.data, device->addresses));
  TSRUN_TRY(GetRoutes(device->host, device->link, step.device.data, device->routes));
  TSRUN_TRY(MoveToName(*device, step.name.data));
  ctx.undo.emplace_back([device] { Restore(*device); });
  for (const Reply& address : device->addresses)
    if (GoesAlong(address))
      TSRUN_TRY(AddAddress(device->target, address, device->target_index, device->name, device->target_name));
  return SetUp(device->target, device->target_index, device->target_name.c_str());
}

} // namespace tsrun
