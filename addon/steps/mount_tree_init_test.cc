// What only an old kernel, or a caller's descriptors, would show: mounts without mount_setattr, standard streams. Each
// test runs in a child with a mount namespace of its own.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include <cstddef>
#include <cstdlib>

#include "addon/base/test.h"
#include "addon/steps/mount_tree_init.h"

namespace tsrun {
namespace {

/// Runs `body` with tmpfs mounts at /a (nosuid, noatime) and /b below an own, private tmpfs as root directory.
template <typename Body> bool InOwnMounts(Body body) {
  fflush(stdout); // or the child would print it again
  const pid_t pid = fork();
  if (pid == 0) {
    char directory[] = "/tmp/tsrun-mount-test-XXXXXX";
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) != 0 ||
        mount("tmpfs", "/tmp", "tmpfs", 0, nullptr) != 0 || mkdtemp(directory) == nullptr || chdir(directory) != 0 ||
        mkdir("a", 0755) != 0 || mkdir("b", 0755) != 0 || mkdir("dev", 0755) != 0 ||
        mount("tmpfs", "a", "tmpfs", MS_NOSUID | MS_NOATIME, nullptr) != 0)
      _exit(2);
    test::failures_here = 0;
    body();
    fflush(stdout);
    _exit(test::failures_here == 0 ? 0 : 1);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// From now on mount_setattr is what it is to Linux 5.11: nothing.
bool ForgetMountSetattr() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 442, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {.len = 4, .filter = filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

unsigned long FlagsAt(const char* path) {
  struct statvfs fs;
  return statvfs(path, &fs) == 0 ? fs.f_flag : ~0UL;
}

/// Clones /a over /b with these changes.
Status CloneOver(const mount_tree::Changes& changes) {
  InitContext ctx;
  UniqueFd tree, target(open("b", O_PATH | O_DIRECTORY | O_CLOEXEC));
  TSRUN_TRY(mount_tree::Clone(AT_FDCWD, "a", false, tree));
  return mount_tree::ChangeAndAttach(ctx, tree.get(), changes, target.get(), "b");
}

void CheckChanges() {
  CHECK(CloneOver(
            {.set = mount_tree::kRdonly | mount_tree::kNodev, .clear = mount_tree::kNosuid, .propagation = MS_PRIVATE})
            .ok());
  CHECK(FlagsAt("b") == (ST_RDONLY | ST_NODEV | ST_NOATIME));
  // What nobody names stays, the access time included.
  CHECK(CloneOver({.set = mount_tree::kNoexec}).ok());
  CHECK(FlagsAt("b") == (ST_NOSUID | ST_NOEXEC | ST_NOATIME));
  constexpr uint64_t kAtime = 0x70;
  CHECK(CloneOver({.clear = kAtime}).ok());
  CHECK(FlagsAt("b") == (ST_NOSUID | ST_RELATIME));
  CHECK(CloneOver({.set = 0x20, .clear = kAtime}).ok()); // strictatime is none of the others
  CHECK(FlagsAt("b") == ST_NOSUID);
  CHECK(FlagsAt("a") == (ST_NOSUID | ST_NOATIME));
}

TEST(changes_with_mount_setattr) {
  if (geteuid() != 0) SKIP("needs root");
  CHECK(InOwnMounts(CheckChanges));
}

TEST(changes_without_mount_setattr) {
  if (geteuid() != 0) SKIP("needs root");
  CHECK(InOwnMounts([] {
    CHECK(ForgetMountSetattr());
    CheckChanges();
  }));
}

TEST(recursive_changes_need_mount_setattr) {
  if (geteuid() != 0) SKIP("needs root");
  CHECK(InOwnMounts([] {
    CHECK(ForgetMountSetattr());
    const Status status = CloneOver({.set = mount_tree::kRdonly, .recursive = true});
    CHECK(status.op == Op::kMountSetattr && status.err == ENOSYS);
    CHECK(strcmp(status.text, "recursive: needs Linux 5.12") == 0);
  }));
}

TEST(attached_mounts_without_mount_setattr) {
  if (geteuid() != 0) SKIP("needs root");
  CHECK(InOwnMounts([] {
    CHECK(ForgetMountSetattr());
    CHECK(mount(nullptr, "/tmp", nullptr, MS_SHARED, nullptr) == 0);
    InitContext ctx;
    UniqueFd holder(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    CHECK(mount_tree::Change(ctx, holder.get(), {.propagation = MS_SLAVE}, ".").err == EINVAL); // not a mount's root
    UniqueFd mount_root(open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC));
    CHECK(mount_tree::Change(ctx, mount_root.get(), {.propagation = MS_SLAVE}, "/tmp").ok());
    CHECK(mount_tree::Change(ctx, mount_root.get(), {.set = mount_tree::kRdonly}, "/tmp").ok());
    CHECK(mkdir("c", 0755) != 0 && errno == EROFS);
  }));
}

/// Replaces standard input and runs device.reopenNull in a root with its own null device.
template <typename Check> bool ReopenWith(const char* path, Check check) {
  return InOwnMounts([&] {
    CHECK(mknod("dev/null", S_IFCHR | 0666, sys::DeviceNumber(1, 3)) == 0);
    UniqueFd input(open(path, O_RDONLY | O_CLOEXEC));
    CHECK(dup2(input.get(), 0) == 0);
    InitContext ctx;
    ctx.root.reset(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    CHECK(Run(ctx, abi::DeviceReopenNull(abi::Record(nullptr))).ok());
    check();
  });
}

TEST(the_hosts_null_device_is_replaced_by_the_containers) {
  if (geteuid() != 0) SKIP("needs root");
  CHECK(ReopenWith("/dev/null", [] {
    struct stat own, input;
    CHECK(stat("dev/null", &own) == 0 && fstat(0, &input) == 0);
    CHECK(own.st_dev == input.st_dev && own.st_ino == input.st_ino);
    CHECK(fcntl(0, F_GETFD) == 0);                                   // stays open for the program
    CHECK((fcntl(0, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == O_RDWR); // and blocks as it did
  }));
}

TEST(other_standard_streams_stay) {
  if (geteuid() != 0) SKIP("needs root");
  CHECK(ReopenWith("/dev/zero", [] {
    struct stat zero, input;
    CHECK(stat("/dev/zero", &zero) == 0 && fstat(0, &input) == 0);
    CHECK(zero.st_dev == input.st_dev && zero.st_ino == input.st_ino);
  }));
}

} // namespace
} // namespace tsrun

RUN_TESTS()
