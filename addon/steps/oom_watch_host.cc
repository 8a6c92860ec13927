#include "addon/steps/oom_watch_host.h"

#include <cstdlib>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

#include "addon/base/sys.h"
#include "addon/exec/walk.h"
#include "addon/steps/cgroup_tree_host.h"
#include "addon/steps/process_identity_host.h"

namespace tsrun {
namespace {

abi::Str StrOf(const std::string& text) {
  return {text.c_str(), static_cast<uint32_t>(text.size())};
}

/// v1 tells of a want of memory before it kills, and again for every process that meets it meanwhile: so we look
/// whether it has killed, this often and for so long. Where the killer is switched off, nothing is killed.
constexpr int kLookMs = 10;
constexpr uint64_t kPatienceNs = 500'000'000;

/// The number after `name` (a word at the beginning of a line) in the text of a file.
uint64_t Counter(const char* text, const char* name) {
  const size_t size = strlen(name);
  for (const char* line = text; line != nullptr; line = strchr(line, '\n')) {
    if (*line == '\n') line++;
    if (strncmp(line, name, size) == 0 && line[size] == ' ') return strtoull(line + size + 1, nullptr, 10);
  }
  return 0;
}

} // namespace

Status OomWatch::Open(uint64_t pid, uint64_t start_time, const std::string& hierarchy, const std::string& path) {
  TSRUN_TRY(OpenProcess(pid, start_time, pidfd_));
  if (hierarchy.empty()) return Status::Ok();
  UniqueFd directory;
  TSRUN_TRY(cgroup::OpenCgroup(StrOf(hierarchy), StrOf(path), directory, &version_));
  where_ = cgroup::Where(StrOf(hierarchy), StrOf(path));
  return version_ == 1 ? OpenV1(directory.get()) : OpenV2(directory.get());
}

/// Documentation/admin-guide/cgroup-v1/memory.rst, OOM Control.
Status OomWatch::OpenV1(int directory) {
  control_.reset(cgroup::OpenBelow(directory, "memory.oom_control", O_RDONLY));
  if (!control_.valid()) return Status::Fail(Op::kOpenat2, errno, (where_ + "/memory.oom_control").c_str());
  notify_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!notify_.valid()) return Status::Fail(Op::kOpen, errno, "eventfd");
  const std::string line = std::to_string(notify_.get()) + " " + std::to_string(control_.get());
  TSRUN_TRY(
      cgroup::WriteFile(directory, "cgroup.event_control", where_ + "/cgroup.event_control", line.data(), line.size()));
  bool oom;
  return Look(oom);
}

/// Documentation/admin-guide/cgroup-v2.rst, memory.events: a change of the file makes a file modified event.
Status OomWatch::OpenV2(int directory) {
  control_.reset(cgroup::OpenBelow(directory, "memory.events", O_RDONLY));
  if (!control_.valid()) return Status::Fail(Op::kOpenat2, errno, (where_ + "/memory.events").c_str());
  notify_.reset(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!notify_.valid()) return Status::Fail(Op::kOpen, errno, "inotify");
  const std::string file = "/proc/self/fd/" + std::to_string(control_.get());
  if (inotify_add_watch(notify_.get(), file.c_str(), IN_MODIFY) < 0)
    return Status::Fail(Op::kOpen, errno, (where_ + "/memory.events (inotify)").c_str());
  bool oom;
  return Look(oom);
}

Status OomWatch::Look(bool& oom) {
  oom = false;
  char text[4096]; // what was told; then the file
  bool told = false;
  while (sys::Retry([&] { return read(notify_.get(), text, sizeof text); }) > 0)
    told = true;
  const ssize_t got = sys::Retry([&] { return pread(control_.get(), text, sizeof text - 1, 0); });
  if (got < 0) {
    if (errno != ENODEV) return Status::Fail(Op::kRead, errno, where_.c_str());
    notify_.reset(); // the cgroup is gone, which v1 tells like a want of memory
    pending_since_ns_ = 0;
    return Status::Ok();
  }
  text[got] = '\0';
  const uint64_t kills = Counter(text, "oom_kill");
  oom = kills > kills_;
  kills_ = kills;
  if (version_ == 2) return Status::Ok();
  const uint64_t now = MonotonicNs();
  if (told && pending_since_ns_ == 0) pending_since_ns_ = now;
  if (oom) {
    pending_since_ns_ = 0;
  } else if (pending_since_ns_ != 0 && now - pending_since_ns_ >= kPatienceNs) {
    const bool under_oom = Counter(text, "under_oom") != 0;
    const bool kills_none = Counter(text, "oom_kill_disable") != 0;
    oom = under_oom && kills_none;
    // Whom it has killed, and we have told of, may take long to die: meanwhile it is told again, but nobody is killed.
    if (kills_none || !under_oom) pending_since_ns_ = 0;
  }
  return Status::Ok();
}

Status OomWatch::Next(int timeout_ms, Event& event) {
  for (;;) {
    const bool pending = pending_since_ns_ != 0;
    pollfd fds[2] = {{pidfd_.get(), POLLIN, 0}, {notify_.get(), POLLIN, 0}};
    const int ready = poll(fds, 2, pending && (timeout_ms < 0 || timeout_ms > kLookMs) ? kLookMs : timeout_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return Status::Fail(Op::kPoll, errno);
    bool oom = false;
    // At the end, too: v2 tells a change of the file some time after the kill.
    if (notify_.valid() && (ready > 0 || pending)) TSRUN_TRY(Look(oom));
    if (!oom && fds[0].revents == 0 && timeout_ms < 0) continue;
    event = oom ? Event::kOom : fds[0].revents != 0 ? Event::kEnd : Event::kTimeout;
    return Status::Ok();
  }
}

} // namespace tsrun
