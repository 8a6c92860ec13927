#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <csignal>
#include <string>
#include <vector>

#include "addon/base/sys.h"
#include "addon/exec/host_context.h"

namespace tsrun {
namespace {

/// mount(2) takes one page of options.
constexpr size_t kMaxMountData = 4095;
/// Where the writable layer is seen while the overlay is made, and the overlay itself.
constexpr char kWritable[] = "w";
constexpr char kMerged[] = "m";

/// What the thread works on: it is the only one that touches it until it has ended.
struct Job {
  const abi::MountOverlay& step;
  std::vector<UniqueFd> layers; // detached, topmost first
  UniqueFd writable;
  std::string data; // options of mount(2)
  UniqueFd overlay;
  Status status = Status::Ok();
};

Status OpenDetached(const abi::Str& path, UniqueFd& out) {
  out.reset(sys::OpenTree(AT_FDCWD, path.data, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!out.valid()) return Status::Fail(Op::kOpenTree, errno, path.data);
  return Status::Ok();
}

Status MapIds(int tree, int userns, const char* name) {
  constexpr uint64_t kIdmap = 0x100000; // MOUNT_ATTR_IDMAP
  const sys::MountAttr attr = {.attr_set = kIdmap, .userns_fd = static_cast<uint64_t>(userns)};
  if (sys::MountSetattr(tree, "", AT_EMPTY_PATH, attr) != 0)
    return Status::Fail(Op::kMountSetattr, errno, name, 0, "MOUNT_ATTR_IDMAP");
  return Status::Ok();
}

/// Attaches a detached mount under a name in the current directory.
Status Attach(int tree, const char* name, const char* path) {
  if (mkdir(name, 0700) != 0) return Status::Fail(Op::kMkdirat, errno, name);
  if (sys::MoveMount(tree, "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return Status::Fail(Op::kMoveMount, errno, path);
  return Status::Ok();
}

/// In a mount namespace of this thread's own: nothing of the host's mount table changes, and nothing is left of it.
Status Build(Job& job) {
  const abi::MountOverlay& step = job.step;
  if (unshare(CLONE_NEWNS) != 0) return Status::Fail(Op::kUnshare, errno, "mount namespace");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return Status::Fail(Op::kMount, errno, "/");
  // A place for the names; any directory would do that is always there.
  constexpr char kPlace[] = "/proc";
  if (mount("tmpfs", kPlace, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") != 0)
    return Status::Fail(Op::kMount, errno, kPlace);
  if (chdir(kPlace) != 0) return Status::Fail(Op::kChdir, errno, kPlace);
  for (size_t i = 0; i < job.layers.size(); i++)
    TSRUN_TRY(Attach(job.layers[i].get(), std::to_string(i).c_str(), step.lowers[static_cast<uint32_t>(i)].data));
  if (job.writable.valid()) TSRUN_TRY(Attach(job.writable.get(), kWritable, step.writable.data));
  if (mkdir(kMerged, 0700) != 0) return Status::Fail(Op::kMkdirat, errno, kMerged);
  if (mount("overlay", kMerged, "overlay", 0, job.data.c_str()) != 0)
    return Status::Fail(Op::kMount, errno, step.lowers[0].data, 0, "overlay");
  job.overlay.reset(sys::OpenTree(AT_FDCWD, kMerged, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!job.overlay.valid()) return Status::Fail(Op::kOpenTree, errno, "overlay");
  return Status::Ok();
}

void* BuildThere(void* argument) {
  Job& job = *static_cast<Job*>(argument);
  job.status = Build(job);
  return nullptr;
}

/// unshare(2) changes the thread alone: root and working directory of the others stay.
Status RunInThread(Job& job) {
  // No handler of ours runs in it.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int err = pthread_create(&thread, nullptr, BuildThere, &job);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (err != 0) return Status::Fail(Op::kPthreadCreate, err, "thread in a mount namespace");
  pthread_join(thread, nullptr);
  return job.status;
}

std::string OptionsOf(const abi::MountOverlay& step) {
  std::string data = "lowerdir=";
  for (uint32_t i = 0; i < step.lowers.size; i++)
    data += (i == 0 ? "" : ":") + std::to_string(i);
  if (step.writable.size > 0) {
    data += std::string(",upperdir=") + kWritable + "/" + step.upper.data;
    data += std::string(",workdir=") + kWritable + "/" + step.work.data;
  }
  for (uint32_t i = 0; i < step.options.size; i++)
    data += std::string(",") + step.options[i].data;
  return data;
}

} // namespace

Status Run(HostContext& ctx, const abi::MountOverlay& step) {
  if (step.lowers.size == 0) return Status::Fail(Op::kVerify, EINVAL, "", 0, "an overlay without layers");
  Job job{.step = step, .layers = {}, .writable = {}, .data = OptionsOf(step), .overlay = {}};
  if (job.data.size() > kMaxMountData) return Status::Fail(Op::kLimit, E2BIG, step.lowers[0].data, 0, "mount options");
  for (uint32_t i = 0; i < step.lowers.size; i++) {
    UniqueFd layer;
    TSRUN_TRY(OpenDetached(step.lowers[i], layer));
    if (!step.userns.none()) TSRUN_TRY(MapIds(layer.get(), ctx.slots.get(step.userns), step.lowers[i].data));
    job.layers.push_back(std::move(layer));
  }
  if (step.writable.size > 0) TSRUN_TRY(OpenDetached(step.writable, job.writable));
  TSRUN_TRY(RunInThread(job));
  ctx.slots.put(step.slot, std::move(job.overlay));
  return Status::Ok();
}

} // namespace tsrun
