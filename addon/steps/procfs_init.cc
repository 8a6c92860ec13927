#include "addon/steps/procfs_init.h"

#include <sys/stat.h>
#include <sys/vfs.h>

namespace tsrun {
namespace {

constexpr auto kProcSuperMagic = 0x9fa0;
constexpr ino_t kProcRootInode = 1; // PROC_ROOT_INO
constexpr unsigned kFsopenCloexec = 1;
constexpr unsigned kFsmountCloexec = 1;
constexpr unsigned kAttrNosuidNodevNoexec = 2 | 4 | 8; // MOUNT_ATTR_*

UniqueFd PrivateProc() {
  UniqueFd context(sys::Fsopen("proc", kFsopenCloexec));
  if (!context.valid()) return UniqueFd();
  if (sys::Fsconfig(context.get(), sys::FsConfig::kCreate, nullptr, nullptr, 0) != 0) return UniqueFd();
  return UniqueFd(sys::Fsmount(context.get(), kFsmountCloexec, kAttrNosuidNodevNoexec));
}

} // namespace

Status OpenProc(InitContext& ctx, int& fd) {
  if (!ctx.proc.valid()) {
    UniqueFd proc = PrivateProc();
    if (!proc.valid()) proc.reset(open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!proc.valid()) return Status::Fail(Op::kOpen, errno, "/proc");
    struct statfs fs;
    if (fstatfs(proc.get(), &fs) != 0) return Status::Fail(Op::kFstatfs, errno, "/proc");
    if (fs.f_type != kProcSuperMagic) return Status::Fail(Op::kVerify, EINVAL, "/proc", 0, "not a procfs");
    // Nor a directory of one, bound there.
    struct stat st;
    if (fstat(proc.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, "/proc");
    if (st.st_ino != kProcRootInode) return Status::Fail(Op::kVerify, EINVAL, "/proc", 0, "not the root of a procfs");
    ctx.proc = static_cast<UniqueFd&&>(proc);
  }
  fd = ctx.proc.get();
  return Status::Ok();
}

} // namespace tsrun
