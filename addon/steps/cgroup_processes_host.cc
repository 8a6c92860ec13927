// Freezing, signalling and removing a whole cgroup.
#include <csignal>
#include <ctime>
#include <poll.h>

#include <memory>

#include "addon/base/sys.h"
#include "addon/exec/host_context.h"
#include "addon/exec/walk.h"
#include "addon/steps/cgroup_tree_host.h"

namespace tsrun {
namespace {

using namespace cgroup;

constexpr uint64_t kFreezePatienceNs = 10'000'000'000;
constexpr uint64_t kThawPatienceNs = 2'000'000'000;
/// v1: after so many looks a cgroup that will not freeze is thawed for a moment.
constexpr int kLooksBeforeThaw = 50;

void SleepMs(long ms) {
  const timespec t = {.tv_sec = 0, .tv_nsec = ms * 1'000'000};
  nanosleep(&t, nullptr);
}

/// v1: processes that fork while they are being frozen can hold the cgroup in FREEZING; writing again, and thawing it
/// for a moment now and then, gets them out of that.
Status FreezeV1(int directory, const std::string& where, bool frozen) {
  const char* wanted = frozen ? "FROZEN" : "THAWED";
  const uint64_t deadline = MonotonicNs() + (frozen ? kFreezePatienceNs : kThawPatienceNs);
  for (int look = 1;; look++) {
    TSRUN_TRY(WriteFile(directory, "freezer.state", where, wanted, 6));
    std::string state;
    TSRUN_TRY(ReadFile(directory, "freezer.state", where, state));
    if (state.starts_with(wanted)) return Status::Ok();
    std::string parent;
    if (!frozen && ReadFile(directory, "freezer.parent_freezing", where, parent).ok() && parent.starts_with('1'))
      return Status::Fail(Op::kVerify, EBUSY, where.c_str(), 0, "a parent cgroup is frozen");
    if (MonotonicNs() >= deadline) break;
    if (frozen && look % kLooksBeforeThaw == 0) TSRUN_TRY(WriteFile(directory, "freezer.state", where, "THAWED", 6));
    SleepMs(look < 10 ? 1 : 10);
  }
  if (frozen) TSRUN_TRY(WriteFile(directory, "freezer.state", where, "THAWED", 6));
  return Status::Fail(Op::kTimeout, ETIMEDOUT, where.c_str(), 0, wanted);
}

Status WaitFrozenV2(int directory, const std::string& where, bool frozen) {
  const char* wanted = frozen ? "frozen 1" : "frozen 0";
  const uint64_t patience = frozen ? kFreezePatienceNs : kThawPatienceNs;
  UniqueFd events(OpenBelow(directory, "cgroup.events", O_RDONLY));
  if (!events.valid()) return Status::Fail(Op::kOpenat2, errno, where.c_str());
  const uint64_t start = MonotonicNs();
  for (;;) {
    char text[256];
    const ssize_t got = sys::Retry([&] { return pread(events.get(), text, sizeof text - 1, 0); });
    if (got < 0) return Status::Fail(Op::kRead, errno, where.c_str());
    text[got] = '\0';
    if (strstr(text, wanted) != nullptr) return Status::Ok();
    const uint64_t passed = MonotonicNs() - start;
    if (passed >= patience)
      return Status::Fail(Op::kTimeout, ETIMEDOUT, where.c_str(), 0, frozen ? wanted : "is a parent cgroup frozen?");
    // The kernel tells of every change of the file (cgroup-v2.rst).
    pollfd fd = {events.get(), POLLPRI, 0};
    if (poll(&fd, 1, static_cast<int>((patience - passed) / 1'000'000) + 1) < 0 && errno != EINTR)
      return Status::Fail(Op::kPoll, errno, where.c_str());
  }
}

Status FreezeV2(int directory, const std::string& cgroup, bool frozen) {
  const std::string where = cgroup + "/cgroup.freeze";
  TSRUN_TRY(WriteFile(directory, "cgroup.freeze", where, frozen ? "1" : "0", 1));
  const Status status = WaitFrozenV2(directory, cgroup + "/cgroup.events", frozen);
  if (!status.ok() && frozen) (void)WriteFile(directory, "cgroup.freeze", where, "0", 1); // as it was
  return status;
}

} // namespace

Status Run(HostContext& ctx, const abi::CgroupFreeze& step) {
  auto directory = std::make_shared<UniqueFd>();
  int version;
  TSRUN_TRY(OpenCgroup(step.hierarchy, step.path, *directory, &version));
  if (static_cast<uint64_t>(version) != step.version)
    return Status::Fail(Op::kVerify, EINVAL, step.hierarchy.data, version, "a hierarchy of another version");
  const std::string where = Where(step.hierarchy, step.path, version == 1 ? "freezer.state" : nullptr);
  const auto freeze = version == 1 ? FreezeV1 : FreezeV2;
  TSRUN_TRY(freeze(directory->get(), where, step.frozen));
  // A thaw stays: it came before a kill, and what is about to die must not be stopped on its way.
  if (step.frozen) ctx.undo.emplace_back([=] { (void)freeze(directory->get(), where, false); });
  return Status::Ok();
}

Status Run(HostContext&, const abi::CgroupSignal& step) {
  UniqueFd directory;
  const Status status = OpenCgroup(step.hierarchy, step.path, directory);
  if (status.op == Op::kOpenat2 && status.err == ENOENT) return Status::Ok();
  TSRUN_TRY(status);
  return SignalTree(directory.get(), Where(step.hierarchy, step.path), static_cast<int>(step.signal));
}

Status Run(HostContext&, const abi::CgroupRemove& step) {
  std::vector<std::string> names;
  TSRUN_TRY(SplitPath(step.path, names));
  if (names.empty()) return Status::Fail(Op::kVerify, EINVAL, step.path.data, 0, "the root cgroup cannot go");
  Hierarchy hierarchy;
  TSRUN_TRY(OpenHierarchy(step.hierarchy, hierarchy));
  const std::string name = names.back();
  names.pop_back();
  std::string parent;
  for (const std::string& each : names)
    parent.append(parent.empty() ? "" : "/").append(each);
  UniqueFd directory(OpenBelow(hierarchy.fd.get(), parent.empty() ? "." : parent.c_str(), O_PATH | O_DIRECTORY));
  const std::string where = Where(step.hierarchy, step.path);
  if (!directory.valid()) return errno == ENOENT ? Status::Ok() : Status::Fail(Op::kOpenat2, errno, where.c_str());
  return RemoveTree(directory.get(), name, where, step.timeout_ms);
}

} // namespace tsrun
