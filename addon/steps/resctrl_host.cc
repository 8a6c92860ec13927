// resctrl: classes of cache and memory bandwidth (Documentation/filesystems/resctrl.rst in the kernel). Everything is
// opened by descriptor below a mount point whose file system type was checked, never through a link or a mount.
#include <sys/stat.h>
#include <sys/vfs.h>

#include <memory>

#include "addon/base/sys.h"
#include "addon/exec/host_context.h"
#include "addon/steps/cgroup_tree_host.h"

namespace tsrun {
namespace {

using cgroup::OpenBelow;

struct Directory {
  UniqueFd root; // O_PATH
  UniqueFd fd;   // O_PATH; the directory, or its parent
  std::string where;
  std::string name; // of the last component, if `fd` is the parent
};

Status OpenRoot(const abi::Str& root, uint64_t magic, UniqueFd& out) {
  out.reset(open(root.data, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!out.valid()) return Status::Fail(Op::kOpen, errno, root.data);
  struct statfs fs;
  if (fstatfs(out.get(), &fs) != 0) return Status::Fail(Op::kFstatfs, errno, root.data);
  if (static_cast<uint64_t>(fs.f_type) != magic)
    return Status::Fail(Op::kVerify, EINVAL, root.data, static_cast<int64_t>(fs.f_type), "not a resctrl file system");
  return Status::Ok();
}

/// Opens the directory of a path, or with `parent` the one that it lies in.
Status OpenDirectory(const abi::Str& root, uint64_t magic, const abi::Str& path, bool parent, Directory& out) {
  TSRUN_TRY(OpenRoot(root, magic, out.root));
  std::vector<std::string> names;
  TSRUN_TRY(cgroup::SplitPath(path, names));
  out.where = std::string(root.data) + (names.empty() ? "" : path.data);
  if (parent) {
    if (names.empty()) return Status::Fail(Op::kVerify, EINVAL, path.data, 0, "the root is not ours to make or remove");
    out.name = std::move(names.back());
    names.pop_back();
  }
  std::string below = ".";
  for (const std::string& name : names)
    below += "/" + name;
  out.fd.reset(OpenBelow(out.root.get(), below.c_str(), O_PATH | O_DIRECTORY));
  if (!out.fd.valid()) return Status::Fail(Op::kOpenat2, errno, out.where.c_str());
  return Status::Ok();
}

/// The failure of a write or mkdir, with what resctrl says about it.
Status FailWithReason(const Directory& directory, Op op, int err) {
  std::string said;
  // It tells about the last command of anybody; nothing there is no reason to fail in another way.
  if (!cgroup::ReadFile(directory.root.get(), "info/last_cmd_status", directory.where, said).ok()) said.clear();
  while (!said.empty() && said.back() == '\n')
    said.pop_back();
  return Status::Fail(op, err, directory.where.c_str(), 0, said == "ok" ? "" : said.c_str());
}

Status WriteTo(const Directory& directory, const char* file, const char* value, size_t size) {
  UniqueFd fd(OpenBelow(directory.fd.get(), file, O_WRONLY | O_TRUNC));
  if (!fd.valid()) return Status::Fail(Op::kOpenat2, errno, (directory.where + "/" + file).c_str());
  if (sys::Retry([&] { return write(fd.get(), value, size); }) < 0) return FailWithReason(directory, Op::kWrite, errno);
  return Status::Ok();
}

} // namespace

Status Run(HostContext& ctx, const abi::ResctrlCreate& step) {
  auto directory = std::make_shared<Directory>();
  if (!step.make) return OpenDirectory(step.root, step.magic, step.path, false, *directory);
  TSRUN_TRY(OpenDirectory(step.root, step.magic, step.path, true, *directory));
  if (mkdirat(directory->fd.get(), directory->name.c_str(), 0755) == 0) {
    ctx.undo.emplace_back([directory] { (void)unlinkat(directory->fd.get(), directory->name.c_str(), AT_REMOVEDIR); });
    return Status::Ok();
  }
  const int err = errno;
  if (err != EEXIST || !step.existing) return FailWithReason(*directory, Op::kMkdirat, err);
  // A file of that name is no class.
  const UniqueFd there(OpenBelow(directory->fd.get(), directory->name.c_str(), O_PATH | O_DIRECTORY));
  if (!there.valid()) return Status::Fail(Op::kOpenat2, errno, directory->where.c_str());
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::ResctrlWrite& step) {
  auto directory = std::make_shared<Directory>();
  TSRUN_TRY(OpenDirectory(step.root, step.magic, step.path, false, *directory));
  std::string before;
  TSRUN_TRY(cgroup::ReadFile(directory->fd.get(), "schemata", directory->where + "/schemata", before));
  TSRUN_TRY(WriteTo(*directory, "schemata", step.value.data, step.value.size));
  ctx.undo.emplace_back([directory, before] { (void)WriteTo(*directory, "schemata", before.data(), before.size()); });
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::ResctrlJoin& step) {
  Directory directory;
  const Status opened = OpenDirectory(step.root, step.magic, step.path, false, directory);
  if (!opened.ok()) return step.gone && opened.err == ENOENT ? Status::Ok() : opened;
  char pid[21];
  const unsigned size = sys::FormatU64(static_cast<uint64_t>(ctx.pid), pid);
  return WriteTo(directory, "tasks", pid, size);
}

Status Run(HostContext&, const abi::ResctrlRemove& step) {
  Directory directory;
  const Status opened = OpenDirectory(step.root, step.magic, step.path, true, directory);
  if (!opened.ok()) return opened.err == ENOENT ? Status::Ok() : opened;
  // What is in it goes to the class above by itself.
  if (unlinkat(directory.fd.get(), directory.name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    return Status::Fail(Op::kRmdir, errno, directory.where.c_str());
  return Status::Ok();
}

} // namespace tsrun
