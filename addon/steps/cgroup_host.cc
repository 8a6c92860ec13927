// Making cgroups, writing their files, and putting the container's process into them.
#include <csignal>
#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include "addon/base/sys.h"
#include "addon/exec/host_context.h"
#include "addon/steps/cgroup_tree_host.h"

namespace tsrun {
namespace {

using namespace cgroup;

/// How long an undo waits for processes that it has killed.
constexpr uint64_t kUndoPatienceMs = 5'000;

bool Contains(const std::vector<std::string>& words, const char* word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// v2: lets the children of a cgroup have these controllers. A controller that `all_needed` does not list is for
/// statistics and for whoever the container delegates to: whether it can be enabled is not decisive. Nothing is undone
/// here: another container below the same parent may rely on it by then.
Status EnableControllers(int directory, const std::string& where, abi::Strs controllers, abi::Strs all_needed) {
  std::string text;
  TSRUN_TRY(ReadFile(directory, "cgroup.subtree_control", where + "/cgroup.subtree_control", text));
  const std::vector<std::string> enabled = Words(text);
  std::vector<std::string> wanted;
  for (uint32_t i = 0; i < controllers.size; i++)
    if (!Contains(enabled, controllers[i].data)) wanted.emplace_back(controllers[i].data);
  if (wanted.empty()) return Status::Ok();

  TSRUN_TRY(ReadFile(directory, "cgroup.controllers", where + "/cgroup.controllers", text));
  const std::vector<std::string> available = Words(text);
  std::string all;
  for (const std::string& name : wanted)
    if (Contains(available, name.c_str())) all += (all.empty() ? "+" : " +") + name;
  const std::string file = where + "/cgroup.subtree_control";
  if (!all.empty() && WriteFile(directory, "cgroup.subtree_control", file, all.data(), all.size()).ok()) wanted.clear();
  for (const std::string& name : wanted) {
    bool needed = false;
    for (uint32_t i = 0; i < all_needed.size; i++)
      needed = needed || name == all_needed[i].data;
    if (!Contains(available, name.c_str())) {
      if (needed)
        return Status::Fail(Op::kVerify, ENOENT, where.c_str(), 0,
                            ("controller " + name + " is not available").c_str());
      continue;
    }
    const std::string value = "+" + name;
    const Status status = WriteFile(directory, "cgroup.subtree_control", file, value.data(), value.size());
    if (needed) TSRUN_TRY(status);
  }
  return Status::Ok();
}

/// v1: a cpuset without CPUs or memory nodes takes no process. Fills what is empty from the parent, `inherited`.
Status FillCpuset(int directory, const std::string& where, std::string (&inherited)[2]) {
  static constexpr const char* kFiles[] = {"cpuset.cpus", "cpuset.mems"};
  for (int i = 0; i < 2; i++) {
    const std::string file = where + "/" + kFiles[i];
    std::string value;
    TSRUN_TRY(ReadFile(directory, kFiles[i], file, value));
    if (value.find_first_not_of(" \n") == std::string::npos) {
      value = inherited[i];
      TSRUN_TRY(WriteFile(directory, kFiles[i], file, value.data(), value.size()));
    }
    inherited[i] = std::move(value);
  }
  return Status::Ok();
}

/// A cgroup that others use is no container's own: limits and signals would hit them.
Status CheckUnused(int directory, const std::string& where) {
  return Walk(directory, where, [&](int each) -> Status {
    std::vector<int> pids;
    TSRUN_TRY(Processes(each, where, pids));
    if (pids.empty()) return Status::Ok();
    return Status::Fail(Op::kVerify, EBUSY, where.c_str(), pids.front(), "the cgroup already has processes");
  });
}

/// Whoever enters a frozen cgroup stops there, and we would wait for it.
Status CheckNotFrozen(int directory, const std::string& where, int version) {
  std::string text;
  const Status status = ReadFile(directory, version == 1 ? "freezer.state" : "cgroup.events", where, text);
  if (!status.ok()) return status.err == ENOENT ? Status::Ok() : status; // not the freezer's hierarchy
  const bool frozen =
      version == 1 ? text.find("THAWED") == std::string::npos : text.find("frozen 1") != std::string::npos;
  return frozen ? Status::Fail(Op::kVerify, EBUSY, where.c_str(), 0, "the cgroup is frozen") : Status::Ok();
}

/// Writes to the first of the files that is there; `written` is its index, or their number when none is and none need
/// be.
Status WriteFirst(int directory, abi::Str hierarchy, abi::Str path, const abi::Strs& files, const abi::Strs& values,
                  bool missing, uint32_t& written) {
  if (files.size == 0 || files.size != values.size) return Status::Fail(Op::kVerify, EINVAL, "files and values");
  Status status;
  for (written = 0; written < files.size; written++) {
    const abi::Str file = files[written], value = values[written];
    status = WriteFile(directory, file.data, Where(hierarchy, path, file.data), value.data, value.size);
    if (status.op != Op::kOpenat2 || status.err != ENOENT) return status;
  }
  return missing ? Status::Ok() : status;
}

/// Directories that a cgroup.create made, oldest first, each with its parent.
struct Made {
  struct Entry {
    UniqueFd parent;
    std::string name;
    std::string where;
    bool leaf; // the container's own cgroup, not a parent of it
  };
  std::vector<Entry> entries;

  void Remove() {
    for (; !entries.empty(); entries.pop_back()) {
      const Entry& entry = entries.back();
      if (!entry.leaf) {
        unlinkat(entry.parent.get(), entry.name.c_str(), AT_REMOVEDIR); // unless somebody else uses it by now
        continue;
      }
      // Whatever is in it comes from the container.
      UniqueFd directory(OpenBelow(entry.parent.get(), entry.name.c_str(), O_PATH | O_DIRECTORY));
      if (directory.valid()) (void)SignalTree(directory.get(), entry.where, SIGKILL);
      (void)RemoveTree(entry.parent.get(), entry.name, entry.where, kUndoPatienceMs);
    }
  }
};

} // namespace

Status Run(HostContext& ctx, const abi::CgroupCreate& step) {
  std::vector<std::string> names;
  TSRUN_TRY(SplitPath(step.path, names));
  if (names.empty()) return Status::Fail(Op::kVerify, EINVAL, step.path.data, 0, "the root cgroup is not to be made");
  Hierarchy hierarchy;
  TSRUN_TRY(OpenHierarchy(step.hierarchy, hierarchy));
  std::string where = step.hierarchy.data;
  std::string cpuset[2];
  if (step.cpuset) {
    TSRUN_TRY(ReadFile(hierarchy.fd.get(), "cpuset.cpus", where + "/cpuset.cpus", cpuset[0]));
    TSRUN_TRY(ReadFile(hierarchy.fd.get(), "cpuset.mems", where + "/cpuset.mems", cpuset[1]));
  }
  const auto made = std::make_shared<Made>();
  ctx.undo.emplace_back([made] { made->Remove(); });

  UniqueFd at = std::move(hierarchy.fd);
  bool existed = false;
  for (size_t i = 0; i < names.size(); i++) {
    if (hierarchy.version == 2) TSRUN_TRY(EnableControllers(at.get(), where, step.controllers, step.needed));
    where.append("/").append(names[i]);
    existed = mkdirat(at.get(), names[i].c_str(), 0755) != 0;
    if (existed && errno != EEXIST) return Status::Fail(Op::kMkdirat, errno, where.c_str());
    UniqueFd child(OpenBelow(at.get(), names[i].c_str(), O_PATH | O_DIRECTORY));
    const int err = errno;
    if (!existed)
      made->entries.push_back(
          {.parent = std::move(at), .name = names[i], .where = where, .leaf = i + 1 == names.size()});
    if (!child.valid()) return Status::Fail(Op::kOpenat2, err, where.c_str());
    at = std::move(child);
    if (step.cpuset) TSRUN_TRY(FillCpuset(at.get(), where, cpuset));
  }
  if (existed) TSRUN_TRY(CheckUnused(at.get(), where));
  return CheckNotFrozen(at.get(), where, hierarchy.version);
}

Status Run(HostContext& ctx, const abi::CgroupAdopt& step) {
  UniqueFd directory;
  int version;
  TSRUN_TRY(OpenCgroup(step.hierarchy, step.path, directory, &version));
  std::string where = Where(step.hierarchy, step.path);
  if (version != 2) return Status::Fail(Op::kVerify, EINVAL, where.c_str(), 0, "not a v2 cgroup");
  bool there = false;
  const Status alone = Walk(directory.get(), where, [&](int each) -> Status {
    std::vector<int> pids;
    TSRUN_TRY(Processes(each, where, pids));
    for (const int pid : pids) {
      if (pid != ctx.pid)
        return Status::Fail(Op::kVerify, EBUSY, where.c_str(), pid, "the cgroup has processes of others");
      there = true;
    }
    return Status::Ok();
  });
  TSRUN_TRY(alone);
  if (!there) return Status::Fail(Op::kVerify, ESRCH, where.c_str(), 0, "the container's process is not in the cgroup");

  std::vector<std::string> names;
  TSRUN_TRY(SplitPath(step.path, names));
  Hierarchy hierarchy;
  TSRUN_TRY(OpenHierarchy(step.hierarchy, hierarchy));
  UniqueFd at = std::move(hierarchy.fd);
  where = step.hierarchy.data;
  for (const std::string& name : names) {
    TSRUN_TRY(EnableControllers(at.get(), where, step.controllers, step.needed));
    where.append("/").append(name);
    UniqueFd child(OpenBelow(at.get(), name.c_str(), O_PATH | O_DIRECTORY));
    if (!child.valid()) return Status::Fail(Op::kOpenat2, errno, where.c_str());
    at = std::move(child);
  }
  return Status::Ok();
}

Status Run(HostContext&, const abi::CgroupWrite& step) {
  UniqueFd directory;
  TSRUN_TRY(OpenCgroup(step.hierarchy, step.path, directory));
  return WriteFile(directory.get(), step.file.data, Where(step.hierarchy, step.path, step.file.data), step.value.data,
                   step.value.size);
}

Status Run(HostContext&, const abi::CgroupWriteFirst& step) {
  UniqueFd directory;
  TSRUN_TRY(OpenCgroup(step.hierarchy, step.path, directory));
  uint32_t written;
  return WriteFirst(directory.get(), step.hierarchy, step.path, step.files, step.values, step.missing, written);
}

Status Run(HostContext& ctx, const abi::CgroupUpdate& step) {
  if (step.before.size != step.files.size) return Status::Fail(Op::kVerify, EINVAL, "files and what was in them");
  const auto directory = std::make_shared<UniqueFd>();
  TSRUN_TRY(OpenCgroup(step.hierarchy, step.path, *directory));
  uint32_t written;
  TSRUN_TRY(WriteFirst(directory->get(), step.hierarchy, step.path, step.files, step.values, step.missing, written));
  if (written == step.files.size || step.before[written].empty()) return Status::Ok();
  ctx.undo.emplace_back([directory, where = Where(step.hierarchy, step.path),
                         file = std::string(step.files[written].data),
                         before = std::string(step.before[written].data)] {
    (void)WriteFile(directory->get(), file.c_str(), where, before.data(), before.size());
  });
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::CgroupOpen& step) {
  UniqueFd directory;
  int version;
  TSRUN_TRY(OpenCgroup(step.hierarchy, step.path, directory, &version));
  const std::string where = Where(step.hierarchy, step.path);
  if (version != 2) return Status::Fail(Op::kVerify, EINVAL, where.c_str(), 0, "not a v2 cgroup");
  TSRUN_TRY(CheckNotFrozen(directory.get(), where, version));
  // A parent that has threaded children makes a new cgroup invalid; clone3 would only say EOPNOTSUPP. The root has no
  // cgroup.type.
  std::string type;
  const Status status = ReadFile(directory.get(), "cgroup.type", where, type);
  if (!status.ok() && status.err != ENOENT) return status;
  if (type.starts_with("domain invalid"))
    return Status::Fail(Op::kVerify, EOPNOTSUPP, where.c_str(), 0,
                        "the cgroup is \"domain invalid\": a parent is threaded");
  ctx.slots.put(step.slot, std::move(directory));
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::CgroupEnter& step) {
  UniqueFd directory;
  int version;
  TSRUN_TRY(OpenCgroup(step.hierarchy, step.path, directory, &version));
  const std::string where = Where(step.hierarchy, step.path, "tasks");
  // Single threads stand in v1 cgroups; v2 has CLONE_INTO_CGROUP.
  if (version != 1) return Status::Fail(Op::kVerify, EINVAL, where.c_str(), 0, "not a v1 cgroup");
  TSRUN_TRY(CheckNotFrozen(directory.get(), where, version));
  UniqueFd tasks(OpenBelow(directory.get(), "tasks", O_WRONLY));
  if (!tasks.valid()) return Status::Fail(Op::kOpenat2, errno, where.c_str());
  ctx.enter.push_back({.tasks = std::move(tasks), .path = where});
  return Status::Ok();
}

Status Run(HostContext& ctx, const abi::CgroupJoin& step) {
  char pid[24];
  const unsigned digits = sys::FormatU64(static_cast<uint64_t>(ctx.pid), pid);
  if (ctx.pid <= 0) return Status::Fail(Op::kVerify, ESRCH, step.path.data, 0, "no process was spawned");
  const auto join = [&](abi::Str path) -> Status {
    UniqueFd directory;
    TSRUN_TRY(OpenCgroup(step.hierarchy, path, directory));
    return WriteFile(directory.get(), "cgroup.procs", Where(step.hierarchy, path, "cgroup.procs"), pid, digits);
  };
  Status status = join(step.path);
  if (!status.ok() && (status.err == EBUSY || status.err == EOPNOTSUPP) && !step.fallback.empty())
    status = join(step.fallback);
  if (status.ok() || status.err != ESRCH) return status;
  // The process has ended: it, or its end, says why.
  for (Message message;;) {
    const Status end = ReceiveMessage(ctx, message);
    if (!end.ok()) return end;
  }
}

Status Run(HostContext&, const abi::CgroupDelegate& step) {
  UniqueFd directory;
  int version;
  TSRUN_TRY(OpenCgroup(step.hierarchy, step.path, directory, &version));
  const std::string where = Where(step.hierarchy, step.path);
  // config-linux.md, Cgroup ownership: v1 cannot be delegated safely.
  if (version != 2) return Status::Fail(Op::kVerify, EINVAL, where.c_str(), 0, "not a v2 cgroup");
  std::vector<std::string> files = {"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"};
  UniqueFd sys_cgroup(open("/sys/kernel/cgroup", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (sys_cgroup.valid()) {
    std::string list;
    const Status status = ReadFile(sys_cgroup.get(), "delegate", "/sys/kernel/cgroup/delegate", list);
    if (!status.ok() && status.err != ENOENT) return status;
    if (status.ok()) files = Words(list);
  } else if (errno != ENOENT) {
    return Status::Fail(Op::kOpen, errno, "/sys/kernel/cgroup");
  }
  const uid_t uid = static_cast<uid_t>(step.uid);
  if (uid != step.uid || uid == static_cast<uid_t>(-1)) return Status::Fail(Op::kVerify, EINVAL, "uid");
  const gid_t kUnchanged = static_cast<gid_t>(-1);
  if (fchownat(directory.get(), "", uid, kUnchanged, AT_EMPTY_PATH) != 0)
    return Status::Fail(Op::kFchown, errno, where.c_str());
  for (const std::string& file : files) {
    if (file.find('/') != std::string::npos) return Status::Fail(Op::kVerify, EINVAL, file.c_str());
    // Not every listed file is in every cgroup.
    if (fchownat(directory.get(), file.c_str(), uid, kUnchanged, AT_SYMLINK_NOFOLLOW) != 0 && errno != ENOENT)
      return Status::Fail(Op::kFchown, errno, (where + "/" + file).c_str());
  }
  return Status::Ok();
}

} // namespace tsrun
