#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <termios.h>

#include "addon/base/send_fd.h"
#include "addon/exec/init_context.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41) // Linux 4.13
#endif

namespace tsrun {
namespace {

constexpr auto kDevptsMagic = 0x1cd1;

/// Opens a new terminal in the devpts of the container. In the root by descriptor, without links: an image or a
/// process in a shared mount cannot send us to another devpts (CVE-2025-52565).
Status OpenTerminal(int root, UniqueFd& master, UniqueFd& slave, char (&name)[32]) {
  constexpr uint64_t kResolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  master.reset(sys::Openat2(root, "dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC, 0, kResolve));
  if (!master.valid()) return Status::Fail(Op::kOpenat2, errno, "dev/pts/ptmx");
  struct statfs fs;
  if (fstatfs(master.get(), &fs) != 0) return Status::Fail(Op::kFstatfs, errno, "dev/pts/ptmx");
  struct stat st;
  if (fstat(master.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, "dev/pts/ptmx");
  if (fs.f_type != kDevptsMagic || !S_ISCHR(st.st_mode))
    return Status::Fail(Op::kVerify, EINVAL, "dev/pts/ptmx", 0, "not a devpts");
  int lock = 0;
  unsigned number = 0;
  if (ioctl(master.get(), TIOCSPTLCK, &lock) != 0) return Status::Fail(Op::kIoctl, errno, "TIOCSPTLCK");
  if (ioctl(master.get(), TIOCGPTN, &number) != 0) return Status::Fail(Op::kIoctl, errno, "TIOCGPTN");
  slave.reset(ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!slave.valid()) return Status::Fail(Op::kIoctl, errno, "TIOCGPTPEER");
  memcpy(name, "/dev/pts/", 9);
  sys::FormatU64(number, name + 9);
  return Status::Ok();
}

/// Binds the slave over the container's /dev/console, both by descriptor. The target is a plain file or the device that
/// is there already; never what a link points at.
Status BindConsole(int root, int slave) {
  constexpr uint64_t kResolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  UniqueFd made(
      sys::Openat2(root, "dev/console", O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600, kResolve));
  if (!made.valid() && errno != EEXIST) return Status::Fail(Op::kOpenat2, errno, "dev/console");
  UniqueFd target(sys::Openat2(root, "dev/console", O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, kResolve));
  if (!target.valid()) return Status::Fail(Op::kOpenat2, errno, "dev/console");
  struct stat st;
  if (fstat(target.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, "dev/console");
  if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
    return Status::Fail(Op::kVerify, EINVAL, "dev/console", 0, "neither a file nor a device");
  UniqueFd tree(sys::OpenTree(slave, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree.valid()) return Status::Fail(Op::kOpenTree, errno, "terminal");
  if (sys::MoveMount(tree.get(), "", target.get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
    return Status::Fail(Op::kMoveMount, errno, "dev/console");
  return Status::Ok();
}

} // namespace

Status Run(InitContext& ctx, const abi::ConsoleOpen& step) {
  // An exec'd process has joined a container whose root is its own already.
  UniqueFd own_root;
  if (!ctx.root.valid()) {
    own_root.reset(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!own_root.valid()) return Status::Fail(Op::kOpen, errno, "/");
  }
  const int root = ctx.root.valid() ? ctx.root.get() : own_root.get();
  UniqueFd master, slave;
  char name[32];
  TSRUN_TRY(OpenTerminal(root, master, slave, name));
  if (step.rows != 0 || step.columns != 0) {
    winsize size{};
    size.ws_row = static_cast<unsigned short>(step.rows);
    size.ws_col = static_cast<unsigned short>(step.columns);
    if (ioctl(slave.get(), TIOCSWINSZ, &size) != 0) return Status::Fail(Op::kIoctl, errno, "TIOCSWINSZ");
  }
  if (!step.onlcr) {
    termios settings;
    if (tcgetattr(slave.get(), &settings) != 0) return Status::Fail(Op::kIoctl, errno, "TCGETS");
    settings.c_oflag &= ~static_cast<tcflag_t>(ONLCR);
    if (tcsetattr(slave.get(), TCSANOW, &settings) != 0) return Status::Fail(Op::kIoctl, errno, "TCSETS");
  }
  if (fchown(slave.get(), static_cast<uid_t>(step.uid), static_cast<gid_t>(-1)) != 0)
    return Status::Fail(Op::kFchown, errno, name);
  if (step.bind) TSRUN_TRY(BindConsole(root, slave.get()));
  TSRUN_TRY(SendFd(ctx.slots.get(step.slot), master.get(), name, strlen(name), "terminal"));
  ctx.slots.put(step.slot, UniqueFd());
  if (ioctl(slave.get(), TIOCSCTTY, 0) != 0) return Status::Fail(Op::kIoctl, errno, "TIOCSCTTY");
  for (int fd = 0; fd < 3; fd++)
    if (dup2(slave.get(), fd) < 0) return Status::Fail(Op::kFcntl, errno, name, fd);
  if (slave.get() < 3) (void)slave.release(); // it is one of them
  return Status::Ok();
}

} // namespace tsrun
