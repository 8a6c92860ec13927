#include <sys/mount.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>
#include <string>

#include "addon/base/sys.h"
#include "addon/exec/host_context.h"

namespace tsrun {
namespace {

struct MountInfo {
  uint64_t id = 0, parent = 0;
  std::string device, root, point;
};

/// The mounts of this namespace (proc_pid_mountinfo(5)); paths stay escaped.
std::vector<MountInfo> ReadMounts() {
  std::vector<MountInfo> mounts;
  std::ifstream file("/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    MountInfo one;
    if (std::istringstream(line) >> one.id >> one.parent >> one.device >> one.root >> one.point)
      mounts.push_back(std::move(one));
  }
  return mounts;
}

std::string Escape(const std::string& path) {
  std::string out;
  for (const char c : path) {
    if (c != ' ' && c != '\t' && c != '\n' && c != '\\') {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += {'\\', static_cast<char>('0' + byte / 64), static_cast<char>('0' + byte / 8 % 8),
            static_cast<char>('0' + byte % 8)};
  }
  return out;
}

std::string Join(const std::string& directory, const std::string& rest) {
  return directory == "/" ? rest.empty() ? "/" : rest : directory + rest;
}

/// The number of the topmost mount at a path if it shows the very directory that it covers, as root.bind's does; else
/// 0.
uint64_t OwnBind(const std::string& path) {
  const std::string point = Escape(path);
  const std::vector<MountInfo> mounts = ReadMounts();
  const MountInfo* top = nullptr;
  for (const MountInfo& mount : mounts)
    if (mount.point == point) top = &mount;
  if (top == nullptr) return 0;
  for (const MountInfo& parent : mounts) {
    if (parent.id != top->parent) continue;
    const std::string rest = parent.point == "/" ? point : point.substr(std::min(parent.point.size(), point.size()));
    return parent.device == top->device && Join(parent.root, rest) == top->root ? top->id : 0;
  }
  return 0;
}

Status Detach(const char* path) {
  if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) != 0) return Status::Fail(Op::kUmount2, errno, path);
  return Status::Ok();
}

} // namespace

Status Run(HostContext& ctx, const abi::RootDetach& step) {
  const uint64_t there = OwnBind(step.path.data);
  if (step.now) return there == 0 ? Status::Ok() : Detach(step.path.data);
  ctx.undo.emplace_back([path = std::string(step.path.data), there] {
    const uint64_t now = OwnBind(path);
    if (now != 0 && now != there) (void)Detach(path.c_str());
  });
  return Status::Ok();
}

} // namespace tsrun
