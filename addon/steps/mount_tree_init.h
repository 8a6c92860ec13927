#pragma once
#include "addon/base/sys.h"
#include "addon/exec/init_context.h"
#include "addon/steps/in_root_init.h"

/// What is done with a mount by its descriptor, whether it is attached or not.
namespace tsrun::mount_tree {

inline constexpr uint64_t kRdonly = 0x1; // MOUNT_ATTR_*
inline constexpr uint64_t kNosuid = 0x2;
inline constexpr uint64_t kNodev = 0x4;
inline constexpr uint64_t kNoexec = 0x8;
inline constexpr uint64_t kNosymfollow = 0x200000;

/// File system types, as statfs(2) has them.
inline constexpr uint64_t kProcMagic = 0x9fa0;

struct Changes {
  uint64_t set = 0;
  uint64_t clear = 0;
  bool recursive = false;   // of set and clear; propagation says it with MS_REC
  uint64_t propagation = 0; // MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE, with MS_REC; 0: as it is
};

/// Changes an attached mount.
Status Change(InitContext& ctx, int mount, const Changes& changes, const char* name);

/// Changes a detached mount and attaches it, so that nobody ever sees it otherwise. Before Linux 5.12, which cannot
/// change a detached mount, in the other order.
Status ChangeAndAttach(InitContext& ctx, int mount, const Changes& changes, int target, const char* name);

/// A detached copy of the tree at an open path. A symbolic link at its end is the tree itself if links are refused.
Status Clone(int dir, const char* path, bool recursive, UniqueFd& out, in_root::Links last = in_root::Links::kFollow);

/// MOUNT_ATTR_* as MS_* flags of mount(2).
unsigned long FlagsOf(uint64_t attributes);

/// mount(2) onto what a descriptor refers to, for what the new calls cannot do. Returns -1 and sets errno.
int CallMount(int proc, const char* source, int target, const char* type, unsigned long flags, const void* data);

/// The file system type of an open file must be this one.
Status CheckMagic(int fd, uint64_t magic, const char* name);

/// What the symbolic links on the way to a place for a mount do.
enum class TargetLinks { kFollow, kRefuse, kKeepLast }; // kKeepLast: the last component, if it is one, is the place

/// Opens, or makes, the place for a mount. One that was reached over links must not be in a procfs: files of /proc are
/// no places for the mounts of a hostile image (CVE-2019-19921, CVE-2025-52881).
Status OpenTarget(int root, const char* path, bool directory, TargetLinks links, UniqueFd& out, bool& existed);

} // namespace tsrun::mount_tree
