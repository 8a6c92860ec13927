#pragma once
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "addon/base/unique_fd.h"

/// Raw system calls that the C library of Debian 12 has no wrapper for, or whose wrapper we do not want. All return -1
/// and set errno; nothing here allocates. Constants newer than the headers are defined here.
namespace tsrun::sys {

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef OPEN_TREE_CLOEXEC
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 0x00000004
#define MOVE_MOUNT_T_EMPTY_PATH 0x00000040
#endif

/// mount_setattr's argument (Linux 5.12).
struct MountAttr {
  uint64_t attr_set = 0;
  uint64_t attr_clr = 0;
  uint64_t propagation = 0;
  uint64_t userns_fd = 0;
};

/// Flags of fsconfig(2).
enum class FsConfig : unsigned { kSetFlag = 0, kSetString = 1, kSetFd = 5, kCreate = 6 };

inline int Openat2(int dir, const char* path, uint64_t flags, uint64_t mode, uint64_t resolve) {
  struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
  return static_cast<int>(syscall(SYS_openat2, dir, path, &how, sizeof how));
}
inline int OpenTree(int dir, const char* path, unsigned flags) {
  return static_cast<int>(syscall(SYS_open_tree, dir, path, flags));
}
inline int MoveMount(int from_dir, const char* from, int to_dir, const char* to, unsigned flags) {
  return static_cast<int>(syscall(SYS_move_mount, from_dir, from, to_dir, to, flags));
}
inline int MountSetattr(int dir, const char* path, unsigned flags, const MountAttr& attr) {
  return static_cast<int>(syscall(442 /* mount_setattr */, dir, path, flags, &attr, sizeof attr));
}
inline int Fsopen(const char* type, unsigned flags) {
  return static_cast<int>(syscall(SYS_fsopen, type, flags));
}
inline int Fsconfig(int fd, FsConfig command, const char* key, const void* value, int aux) {
  return static_cast<int>(syscall(SYS_fsconfig, fd, command, key, value, aux));
}
inline int Fsmount(int fd, unsigned flags, unsigned attr) {
  return static_cast<int>(syscall(SYS_fsmount, fd, flags, attr));
}
inline int PidfdOpen(int pid, unsigned flags) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, flags));
}
inline int PidfdSendSignal(int pidfd, int signal) {
  return static_cast<int>(syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}
/// A copy of another process's descriptor, close-on-exec (Linux 5.6).
inline int PidfdGetfd(int pidfd, int fd) {
  return static_cast<int>(syscall(438 /* pidfd_getfd */, pidfd, fd, 0));
}
inline int CloseRange(unsigned first, unsigned last, unsigned flags) {
  return static_cast<int>(syscall(436 /* close_range */, first, last, flags));
}
inline int PivotRoot(const char* new_root, const char* put_old) {
  return static_cast<int>(syscall(SYS_pivot_root, new_root, put_old));
}
inline int Execveat(int dir, const char* path, char* const argv[], char* const envp[], int flags) {
  return static_cast<int>(syscall(SYS_execveat, dir, path, argv, envp, flags));
}

/// A device number as stat(2) and mknod(2) have it. (The macros of <sys/sysmacros.h> would take the plan's field
/// names.)
constexpr dev_t DeviceNumber(uint64_t major, uint64_t minor) {
  return (major & 0xfff) << 8 | (major & ~uint64_t{0xfff}) << 32 | (minor & 0xff) | (minor & ~uint64_t{0xff}) << 12;
}

/// Retries a call that a signal interrupted.
template <typename Call> auto Retry(Call call) {
  decltype(call()) result;
  do
    result = call();
  while (result == -1 && errno == EINTR);
  return result;
}

/// Writes a decimal number with its NUL, as snprintf would, and returns its length; `out` holds at least 21 bytes.
inline unsigned FormatU64(uint64_t value, char* out) {
  char digits[20];
  unsigned count = 0;
  do
    digits[count++] = static_cast<char>('0' + value % 10);
  while ((value /= 10) != 0);
  for (unsigned i = 0; i < count; i++)
    out[i] = digits[count - 1 - i];
  out[count] = '\0';
  return count;
}

} // namespace tsrun::sys
