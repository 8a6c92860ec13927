#pragma once
#include "addon/base/status.h"
#include "addon/base/sys.h"

namespace tsrun {

/// Opens a pidfd of the process with this pid and start time (clock ticks since boot, field 22 of /proc/<pid>/stat).
/// Op::kPidfdOpen with ESRCH when there is no such process any more, or the pid is another one's now.
inline Status OpenProcess(uint64_t pid, uint64_t start_time, UniqueFd& out) {
  char path[48] = "/proc/";
  if (pid == 0 || pid > INT32_MAX) return Status::Fail(Op::kPidfdOpen, ESRCH);
  const unsigned digits = sys::FormatU64(pid, path + 6);
  out.reset(sys::PidfdOpen(static_cast<int>(pid), 0));
  if (!out.valid()) return Status::Fail(Op::kPidfdOpen, errno, path + 6);
  // The pidfd holds the process; so if stat now shows the right start time, the pidfd is of that process.
  memcpy(path + 6 + digits, "/stat", sizeof "/stat");
  UniqueFd file(open(path, O_RDONLY | O_CLOEXEC));
  if (!file.valid())
    return errno == ENOENT ? Status::Fail(Op::kPidfdOpen, ESRCH, path) : Status::Fail(Op::kOpen, errno, path);
  char text[1024];
  const ssize_t got = sys::Retry([&] { return read(file.get(), text, sizeof text - 1); });
  if (got < 0) return Status::Fail(errno == ESRCH ? Op::kPidfdOpen : Op::kRead, errno, path);
  text[got] = '\0';
  // The name, field 2, is in parentheses and may hold anything; field 3 follows the last of them.
  const char* at = strrchr(text, ')');
  if (at == nullptr) return Status::Fail(Op::kVerify, EINVAL, path);
  for (int field = 2; field < 22; field++) {
    at = strchr(at + 1, ' ');
    if (at == nullptr) return Status::Fail(Op::kVerify, EINVAL, path);
  }
  uint64_t found = 0;
  for (at++; *at >= '0' && *at <= '9'; at++)
    found = found * 10 + static_cast<uint64_t>(*at - '0');
  if (found != start_time) return Status::Fail(Op::kPidfdOpen, ESRCH, path);
  return Status::Ok();
}

} // namespace tsrun
