#pragma once
#include <string>

#include "addon/base/status.h"
#include "addon/base/unique_fd.h"

namespace tsrun {

/// Waits for the kernel to kill for want of memory in a cgroup, and for the end of a process. Not a step: nothing is
/// changed by it.
class OomWatch {
public:
  enum class Event { kTimeout = 0, kOom = 1, kEnd = 2 };

  /// The process is told by pid and start time. `hierarchy` and `path` name the cgroup whose memory is limited; with an
  /// empty hierarchy only the end is watched. Op::kPidfdOpen with ESRCH when there is no such process any more.
  Status Open(uint64_t pid, uint64_t start_time, const std::string& hierarchy, const std::string& path);

  /// Waits for the next event, at most about this long (-1: without limit); it may come back early. Several kills that
  /// were met at once are one event; what was killed before the end is told before it.
  Status Next(int timeout_ms, Event& event);

private:
  Status OpenV1(int directory);
  Status OpenV2(int directory);
  /// Whether there was a kill since the last look.
  Status Look(bool& oom);

  std::string where_;
  UniqueFd pidfd_;
  UniqueFd notify_;  // v1: eventfd; v2: inotify
  UniqueFd control_; // v1: memory.oom_control; v2: memory.events
  int version_ = 0;
  uint64_t kills_ = 0;            // oom_kill of the file so far
  uint64_t pending_since_ns_ = 0; // v1: want of memory was told, and nothing was killed yet
};

} // namespace tsrun
