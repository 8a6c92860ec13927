#include "addon/steps/sysctl_read_host.h"

#include <pthread.h>
#include <sched.h>

#include <csignal>

#include "addon/base/sys.h"

namespace tsrun {
namespace {

/// The largest sysctls (bitmaps as lists of ranges) are cut here.
constexpr size_t kMaxBytes = 4096;

/// What setns does to a thread stays with the thread, which ends here.
struct ReadJob {
  const std::vector<int>& namespaces;
  const std::vector<std::string>& files;
  std::vector<SysctlValue>& out;
  Status status = Status::Ok();
};

SysctlValue ReadOne(int directory, const std::string& name) {
  UniqueFd file(sys::Openat2(directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0,
                             RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV));
  if (!file.valid()) return {.err = errno, .text = {}};
  char text[kMaxBytes];
  const ssize_t got = sys::Retry([&] { return read(file.get(), text, sizeof text); });
  if (got < 0) return {.err = errno, .text = {}};
  return {.err = 0, .text = {text, static_cast<size_t>(got)}};
}

void* ReadThere(void* argument) {
  ReadJob& job = *static_cast<ReadJob*>(argument);
  for (const int fd : job.namespaces) {
    if (setns(fd, 0) != 0) {
      job.status = Status::Fail(Op::kSetns, errno, "namespace of the container");
      return nullptr;
    }
  }
  UniqueFd directory(open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) {
    job.status = Status::Fail(Op::kOpen, errno, "/proc/sys");
    return nullptr;
  }
  for (const std::string& name : job.files)
    job.out.push_back(ReadOne(directory.get(), name));
  return nullptr;
}

} // namespace

Status ReadSysctls(const std::vector<int>& namespaces, const std::vector<std::string>& files,
                   std::vector<SysctlValue>& out) {
  ReadJob job{.namespaces = namespaces, .files = files, .out = out};
  // No handler of ours runs in that thread.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int err = pthread_create(&thread, nullptr, ReadThere, &job);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (err != 0) return Status::Fail(Op::kPthreadCreate, err, "thread in the container's namespaces");
  pthread_join(thread, nullptr);
  return job.status;
}

} // namespace tsrun
