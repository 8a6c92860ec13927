#include "addon/steps/cgroup_tree_host.h"

#include <csignal>
#include <ctime>
#include <dirent.h>
#include <sys/vfs.h>

#include <algorithm>
#include <memory>

#include "addon/base/sys.h"
#include "addon/exec/walk.h"

namespace tsrun::cgroup {
namespace {

constexpr auto kCgroupMagic = 0x27e0eb;
constexpr auto kCgroup2Magic = 0x63677270;
/// cgroup.procs with a line for every possible pid (PID_MAX_LIMIT).
constexpr size_t kMaxFileBytes = size_t{4} * 1024 * 1024 * 8;
/// How often the processes of a cgroup are listed and killed before we give up on one that forks faster.
constexpr int kMaxKillRounds = 256;

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

/// The names of the cgroups directly below one.
Status Children(int directory, const std::string& where, std::vector<std::string>& out) {
  UniqueFd fd(OpenBelow(directory, ".", O_RDONLY | O_DIRECTORY));
  if (!fd.valid()) return Status::Fail(Op::kOpenat2, errno, where.c_str());
  std::unique_ptr<DIR, CloseDirectory> stream(fdopendir(fd.get()));
  if (!stream) return Status::Fail(Op::kOpen, errno, where.c_str());
  (void)fd.release(); // the stream's now
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(stream.get());
    if (entry == nullptr) break;
    // kernfs always gives the type.
    if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    out.emplace_back(entry->d_name);
  }
  if (errno != 0) return Status::Fail(Op::kRead, errno, where.c_str());
  return Status::Ok();
}

void Sleep(uint64_t ns) {
  const timespec t = {.tv_sec = static_cast<time_t>(ns / 1'000'000'000),
                      .tv_nsec = static_cast<long>(ns % 1'000'000'000)};
  nanosleep(&t, nullptr);
}

/// Signals those of `pids` that are processes of the cgroup. Between reading a number and opening the pidfd another
/// process may have got the number; but what is still listed afterwards and alive is the one that the pidfd holds.
Status SignalListed(int directory, const std::string& where, const std::vector<int>& pids, int signal) {
  std::vector<std::pair<int, UniqueFd>> open;
  for (const int pid : pids) {
    UniqueFd pidfd(sys::PidfdOpen(pid, 0));
    if (pidfd.valid())
      open.emplace_back(pid, std::move(pidfd));
    else if (errno != ESRCH)
      return Status::Fail(Op::kPidfdOpen, errno, where.c_str(), pid);
  }
  std::vector<int> still;
  TSRUN_TRY(Processes(directory, where, still));
  std::sort(still.begin(), still.end());
  for (const auto& [pid, pidfd] : open) {
    if (!std::binary_search(still.begin(), still.end(), pid)) continue;
    if (sys::PidfdSendSignal(pidfd.get(), signal) != 0 && errno != ESRCH)
      return Status::Fail(Op::kPidfdSendSignal, errno, where.c_str(), signal);
  }
  return Status::Ok();
}

} // namespace

int OpenBelow(int directory, const char* path, int flags) {
  return sys::Openat2(directory, path, static_cast<uint64_t>(flags | O_CLOEXEC), 0,
                      RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
}

Status OpenHierarchy(abi::Str mount_point, Hierarchy& out) {
  out.fd.reset(open(mount_point.data, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!out.fd.valid()) return Status::Fail(Op::kOpen, errno, mount_point.data);
  struct statfs fs;
  if (fstatfs(out.fd.get(), &fs) != 0) return Status::Fail(Op::kFstatfs, errno, mount_point.data);
  out.version = fs.f_type == kCgroup2Magic ? 2 : fs.f_type == kCgroupMagic ? 1 : 0;
  if (out.version == 0)
    return Status::Fail(Op::kVerify, EINVAL, mount_point.data, fs.f_type, "not a cgroup file system");
  return Status::Ok();
}

Status SplitPath(abi::Str path, std::vector<std::string>& names) {
  const char* at = path.data;
  const Status wrong = Status::Fail(Op::kVerify, EINVAL, path.data, 0, "not a cgroup path");
  if (*at != '/') return wrong;
  while (*at != '\0') {
    at++;
    const size_t length = strcspn(at, "/");
    if (length == 0 && path.size == 1) return Status::Ok();
    std::string name(at, length);
    if (name.empty() || name == "." || name == "..") return wrong;
    names.push_back(std::move(name));
    at += length;
  }
  return Status::Ok();
}

Status OpenCgroup(abi::Str hierarchy, abi::Str path, UniqueFd& out, int* version) {
  std::vector<std::string> names;
  TSRUN_TRY(SplitPath(path, names));
  Hierarchy opened;
  TSRUN_TRY(OpenHierarchy(hierarchy, opened));
  if (version != nullptr) *version = opened.version;
  out.reset(OpenBelow(opened.fd.get(), names.empty() ? "." : path.data + 1, O_PATH | O_DIRECTORY));
  if (!out.valid()) return Status::Fail(Op::kOpenat2, errno, Where(hierarchy, path).c_str());
  return Status::Ok();
}

std::string Where(abi::Str hierarchy, abi::Str path, const char* file) {
  std::string where(hierarchy.data);
  if (strcmp(path.data, "/") != 0) where += path.data;
  if (file != nullptr) where.append("/").append(file);
  return where;
}

Status ReadFile(int directory, const char* name, const std::string& where, std::string& out) {
  out.clear();
  UniqueFd file(OpenBelow(directory, name, O_RDONLY));
  if (!file.valid()) return Status::Fail(Op::kOpenat2, errno, where.c_str());
  char part[4096];
  for (;;) {
    const ssize_t got = sys::Retry([&] { return read(file.get(), part, sizeof part); });
    if (got < 0) return Status::Fail(Op::kRead, errno, where.c_str());
    if (got == 0) return Status::Ok();
    out.append(part, static_cast<size_t>(got));
    if (out.size() > kMaxFileBytes) return Status::Fail(Op::kLimit, EFBIG, where.c_str());
  }
}

Status WriteFile(int directory, const char* name, const std::string& where, const char* value, size_t size) {
  UniqueFd file(OpenBelow(directory, name, O_WRONLY));
  if (!file.valid()) return Status::Fail(Op::kOpenat2, errno, where.c_str(), 0, value);
  const ssize_t written = sys::Retry([&] { return write(file.get(), value, size); });
  if (written < 0) return Status::Fail(Op::kWrite, errno, where.c_str(), 0, value);
  if (static_cast<size_t>(written) != size) return Status::Fail(Op::kWrite, EIO, where.c_str(), written, value);
  return Status::Ok();
}

std::vector<std::string> Words(const std::string& text) {
  std::vector<std::string> words;
  for (size_t at = 0; (at = text.find_first_not_of(" \t\n", at)) != std::string::npos;) {
    const size_t end = std::min(text.find_first_of(" \t\n", at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

bool IsGone(const Status& status) {
  return !status.ok() && (status.err == ENOENT || status.err == ENODEV || status.err == ESRCH);
}

Status Walk(int top, const std::string& where, const std::function<Status(int)>& visit) {
  // For each level from `top` down to where we are: its children that are still to be visited.
  std::vector<std::vector<std::string>> open;
  UniqueFd at(OpenBelow(top, ".", O_PATH | O_DIRECTORY));
  if (!at.valid()) return Status::Fail(Op::kOpenat2, errno, where.c_str());
  Status status = visit(at.get());
  if (status.ok()) status = Children(at.get(), where, open.emplace_back());
  if (!status.ok()) return IsGone(status) ? Status::Ok() : status;
  while (!open.empty()) {
    if (open.back().empty()) {
      open.pop_back();
      if (open.empty()) break;
      // A cgroup never moves to another parent, and we have come down as many levels as `open` has.
      UniqueFd parent(openat(at.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
      if (!parent.valid()) return errno == ENOENT ? Status::Ok() : Status::Fail(Op::kOpen, errno, where.c_str());
      at = std::move(parent);
      continue;
    }
    const std::string name = std::move(open.back().back());
    open.back().pop_back();
    UniqueFd child(OpenBelow(at.get(), name.c_str(), O_PATH | O_DIRECTORY));
    if (!child.valid()) {
      if (errno == ENOENT) continue;
      return Status::Fail(Op::kOpenat2, errno, where.c_str());
    }
    std::vector<std::string> children;
    status = visit(child.get());
    if (status.ok()) status = Children(child.get(), where, children);
    if (IsGone(status)) continue;
    TSRUN_TRY(status);
    open.push_back(std::move(children));
    at = std::move(child);
  }
  return Status::Ok();
}

Status Processes(int directory, const std::string& where, std::vector<int>& out) {
  std::string text;
  const Status status = ReadFile(directory, "cgroup.procs", where, text);
  // A threaded cgroup: its processes are listed by the domain above it.
  if (!status.ok() && status.err == EOPNOTSUPP) return Status::Ok();
  TSRUN_TRY(status);
  for (const std::string& word : Words(text)) {
    const int pid = static_cast<int>(strtol(word.c_str(), nullptr, 10));
    if (pid > 0) out.push_back(pid);
  }
  return Status::Ok();
}

Status SignalTree(int top, const std::string& where, int signal) {
  if (signal == SIGKILL) {
    // Linux 5.14, v2; EOPNOTSUPP in a threaded cgroup.
    const Status status = WriteFile(top, "cgroup.kill", where, "1", 1);
    if (status.ok() || status.err == ENODEV) return Status::Ok();
    if (status.err != ENOENT && status.err != EOPNOTSUPP) return status;
  }
  std::vector<int> seen; // sorted
  for (int round = 0; round < kMaxKillRounds; round++) {
    bool fresh = false;
    std::vector<int> now;
    const Status status = Walk(top, where, [&](int directory) -> Status {
      std::vector<int> pids;
      TSRUN_TRY(Processes(directory, where, pids));
      for (const int pid : pids)
        fresh = fresh || !std::binary_search(seen.begin(), seen.end(), pid);
      now.insert(now.end(), pids.begin(), pids.end());
      return SignalListed(directory, where, pids, signal);
    });
    TSRUN_TRY(status);
    // What was forked while we looked is met in the next round; only a killed process cannot fork any more.
    if (signal != SIGKILL || !fresh) return Status::Ok();
    std::sort(now.begin(), now.end());
    seen = std::move(now);
  }
  return Status::Fail(Op::kLimit, EAGAIN, where.c_str(), kMaxKillRounds,
                      "processes appear faster than they are killed");
}

Status RemoveTree(int parent, const std::string& name, const std::string& where, uint64_t timeout_ms) {
  const uint64_t deadline = MonotonicNs() + timeout_ms * 1'000'000;
  uint64_t pause = 100'000;
  // `at` is the parent of names.back().
  std::vector<std::string> names = {name};
  UniqueFd at(OpenBelow(parent, ".", O_PATH | O_DIRECTORY));
  if (!at.valid())
    return IsGone(Status::Fail(Op::kOpenat2, errno)) ? Status::Ok() : Status::Fail(Op::kOpenat2, errno, where.c_str());
  for (;;) {
    if (unlinkat(at.get(), names.back().c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) {
      names.pop_back();
      if (names.empty()) return Status::Ok();
      UniqueFd above(openat(at.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
      if (!above.valid()) return Status::Fail(Op::kOpen, errno, where.c_str());
      at = std::move(above);
      continue;
    }
    const int err = errno;
    if (err != EBUSY && err != ENOTEMPTY) return Status::Fail(Op::kRmdir, err, where.c_str());
    UniqueFd child(OpenBelow(at.get(), names.back().c_str(), O_PATH | O_DIRECTORY));
    if (!child.valid()) {
      if (errno == ENOENT) continue;
      return Status::Fail(Op::kOpenat2, errno, where.c_str());
    }
    std::vector<std::string> below;
    const Status status = Children(child.get(), where, below);
    if (IsGone(status)) continue;
    TSRUN_TRY(status);
    if (!below.empty()) {
      at = std::move(child);
      names.push_back(std::move(below.front()));
      continue;
    }
    // Processes are in it: those that were killed need a moment to go.
    if (MonotonicNs() >= deadline)
      return Status::Fail(Op::kRmdir, err, where.c_str(), static_cast<int64_t>(timeout_ms), "it still has processes");
    Sleep(pause);
    pause = std::min<uint64_t>(pause * 2, 20'000'000);
  }
}

} // namespace tsrun::cgroup
