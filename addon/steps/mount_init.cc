#include <climits>
#include <sys/mount.h>
#include <sys/stat.h>

#include "addon/steps/copy_tree_init.h"
#include "addon/steps/in_root_init.h"
#include "addon/steps/mount_tree_init.h"
#include "addon/steps/procfs_init.h"

#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x2000 // Linux 5.8
#endif

namespace tsrun {
namespace {

constexpr unsigned kFsopenCloexec = 1;
constexpr unsigned kFsmountCloexec = 1;
/// fsconfig(2) takes texts of up to 255 bytes.
constexpr uint32_t kMaxConfigText = 255;
/// mount(2) takes one page of options.
constexpr size_t kMaxMountData = 4096;
constexpr size_t kMaxKey = 255;
/// "mode=" and an octal number.
constexpr size_t kModeOption = 16;

/// SELinux's options, whose labels have commas of their own (s0:c1,c2).
bool IsLabel(const abi::Str& option) {
  for (const char* key : {"context=", "fscontext=", "defcontext=", "rootcontext="})
    if (strncmp(option.data, key, strlen(key)) == 0) return true;
  return false;
}

/// Whether all of a step can be said by fsconfig.
bool FitsFsconfig(const abi::MountFilesystem& step) {
  if (step.mount_flags != 0 || step.source.size > kMaxConfigText) return false;
  for (uint32_t i = 0; i < step.options.size; i++) {
    const abi::Str option = step.options[i];
    if (option.size > kMaxConfigText) return false;
    // File systems that still read options as one text refuse a comma in a value; a label does not get to them.
    if (memchr(option.data, ',', option.size) != nullptr && !IsLabel(option)) return false;
  }
  return true;
}

/// The failure of a fsconfig or fsmount, with what the kernel says about it (fsopen(2): messages are read from the
/// context).
Status FailWithMessage(Op op, int err, int context, const char* name) {
  char message[256];
  const ssize_t size = read(context, message, sizeof message - 1);
  message[size > 0 ? size : 0] = '\0';
  for (char* c = message; *c != '\0'; c++)
    if (*c == '\n') *c = '\0';
  // "e " marks an error, "w " and "i " less.
  return Status::Fail(op, err, name, 0, size > 2 && message[1] == ' ' ? message + 2 : message);
}

Status SetOption(int context, const char* option, const char* name) {
  const char* equals = strchr(option, '=');
  if (equals == nullptr) {
    if (sys::Fsconfig(context, sys::FsConfig::kSetFlag, option, nullptr, 0) != 0)
      return FailWithMessage(Op::kFsconfig, errno, context, option);
    return Status::Ok();
  }
  char key[kMaxKey + 1];
  const size_t length = static_cast<size_t>(equals - option);
  if (length > kMaxKey) return Status::Fail(Op::kLimit, ENAMETOOLONG, name);
  memcpy(key, option, length);
  key[length] = '\0';
  if (sys::Fsconfig(context, sys::FsConfig::kSetString, key, equals + 1, 0) != 0)
    return FailWithMessage(Op::kFsconfig, errno, context, option);
  return Status::Ok();
}

/// A new file system as a detached mount. Op::kFsopen when the call itself is refused.
Status MakeFilesystem(const abi::MountFilesystem& step, const char* mode, UniqueFd& out) {
  UniqueFd context(sys::Fsopen(step.fs_type.data, kFsopenCloexec));
  if (!context.valid()) return Status::Fail(Op::kFsopen, errno, step.fs_type.data);
  if (step.source.size > 0 &&
      sys::Fsconfig(context.get(), sys::FsConfig::kSetString, "source", step.source.data, 0) != 0)
    return FailWithMessage(Op::kFsconfig, errno, context.get(), step.source.data);
  if (mode[0] != '\0') TSRUN_TRY(SetOption(context.get(), mode, step.target.data));
  for (uint32_t i = 0; i < step.options.size; i++)
    TSRUN_TRY(SetOption(context.get(), step.options[i].data, step.target.data));
  if (sys::Fsconfig(context.get(), sys::FsConfig::kCreate, nullptr, nullptr, 0) != 0)
    return FailWithMessage(Op::kFsconfig, errno, context.get(), step.target.data);
  out.reset(sys::Fsmount(context.get(), kFsmountCloexec, static_cast<unsigned>(step.attr)));
  if (!out.valid()) return FailWithMessage(Op::kFsmount, errno, context.get(), step.target.data);
  return Status::Ok();
}

/// The options of a step as mount(2) takes them: one text.
Status JoinOptions(const abi::MountFilesystem& step, const char* mode, char (&data)[kMaxMountData]) {
  size_t at = strlen(mode);
  memcpy(data, mode, at);
  for (uint32_t i = 0; i < step.options.size; i++) {
    const abi::Str option = step.options[i];
    // Room for a comma and two quotes.
    if (at + 3 + option.size >= sizeof data)
      return Status::Fail(Op::kLimit, E2BIG, step.target.data, 0, "mount options");
    if (at > 0) data[at++] = ',';
    const size_t key = IsLabel(option) ? static_cast<size_t>(strchr(option.data, '=') - option.data) + 1 : option.size;
    memcpy(data + at, option.data, key);
    at += key;
    if (key == option.size) continue;
    data[at++] = '"';
    memcpy(data + at, option.data + key, option.size - key);
    at += option.size - key;
    data[at++] = '"';
  }
  data[at] = '\0';
  return Status::Ok();
}

/// The same with mount(2), onto the verified target by descriptor.
Status MountByCall(InitContext& ctx, const abi::MountFilesystem& step, const char* mode, int target, UniqueFd& out) {
  static char data[kMaxMountData]; // in .bss: only rarely touched
  TSRUN_TRY(JoinOptions(step, mode, data));
  int proc;
  TSRUN_TRY(OpenProc(ctx, proc));
  const unsigned long flags = mount_tree::FlagsOf(step.attr) | static_cast<unsigned long>(step.mount_flags);
  if (mount_tree::CallMount(proc, step.source.data, target, step.fs_type.data, flags, data) != 0)
    return Status::Fail(Op::kMount, errno, step.target.data);
  // The descriptor is below what has been mounted; the path leads to what is on top, which must be a mount.
  const in_root::Links links = step.no_symlinks ? in_root::Links::kRefuse : in_root::Links::kFollow;
  TSRUN_TRY(in_root::Open(ctx.root.get(), step.target.data, O_PATH | O_DIRECTORY, links, out));
  struct statx st;
  if (statx(out.get(), "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, 0, &st) != 0)
    return Status::Fail(Op::kFstat, errno, step.target.data);
  if ((st.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0)
    return Status::Fail(Op::kVerify, EINVAL, step.target.data, 0, "its path leads elsewhere by now");
  return Status::Ok();
}

/// "mode=" with the mode of the directory that is covered, or "".
Status ModeOption(const abi::MountFilesystem& step, int target, bool existed, char (&out)[kModeOption]) {
  out[0] = '\0';
  if (!step.keep_mode || !existed) return Status::Ok();
  struct stat st;
  if (fstat(target, &st) != 0) return Status::Fail(Op::kFstat, errno, step.target.data);
  memcpy(out, "mode=0000", 10);
  for (int i = 0; i < 4; i++)
    out[5 + i] = static_cast<char>('0' + ((st.st_mode >> (9 - 3 * i)) & 7));
  return Status::Ok();
}

mount_tree::TargetLinks TargetLinksOf(bool no_symlinks) {
  return no_symlinks ? mount_tree::TargetLinks::kRefuse : mount_tree::TargetLinks::kFollow;
}

/// Of mount.bind and mount.target.
template <typename Step> mount_tree::TargetLinks BindTargetLinks(const Step& step) {
  if ((step.links & abi::kLinkTargetNoFollow) != 0) return mount_tree::TargetLinks::kKeepLast;
  return TargetLinksOf(step.no_symlinks);
}

/// Makes a symbolic link like the source in place of a mount. One that is there already must say the same.
Status CopyLink(InitContext& ctx, int link, const abi::MountBind& step) {
  char text[PATH_MAX], found[PATH_MAX];
  const ssize_t size = readlinkat(link, "", text, sizeof text - 1);
  if (size < 0) return Status::Fail(Op::kReadlinkat, errno, step.source.data);
  text[size] = '\0';
  UniqueFd parent;
  const char* name;
  TSRUN_TRY(in_root::OpenParent(ctx.root.get(), step.target.data, parent, name));
  if (symlinkat(text, parent.get(), name) == 0) return Status::Ok();
  if (errno != EEXIST) return Status::Fail(Op::kSymlinkat, errno, step.target.data);
  const ssize_t found_size = readlinkat(parent.get(), name, found, sizeof found);
  if (found_size != size || memcmp(found, text, static_cast<size_t>(size)) != 0)
    return Status::Fail(Op::kVerify, EEXIST, step.target.data, 0, "another file is there");
  return Status::Ok();
}

/// A mount on the root itself is the root from now on: later targets lie in it.
void FollowRoot(InitContext& ctx, const abi::Str& target, UniqueFd mount) {
  if (target.size == 0) ctx.root = static_cast<UniqueFd&&>(mount);
}

} // namespace

Status Run(InitContext&, const abi::MountPropagation& step) {
  if (mount(nullptr, "/", nullptr, static_cast<unsigned long>(step.flags), nullptr) != 0)
    return Status::Fail(Op::kMount, errno, "/");
  return Status::Ok();
}

Status Run(InitContext& ctx, const abi::MountFilesystem& step) {
  UniqueFd target, tree;
  bool existed;
  TSRUN_TRY(
      mount_tree::OpenTarget(ctx.root.get(), step.target.data, true, TargetLinksOf(step.no_symlinks), target, existed));
  char mode[kModeOption];
  TSRUN_TRY(ModeOption(step, target.get(), existed, mode));

  bool by_call = !FitsFsconfig(step);
  if (!by_call) {
    const Status status = MakeFilesystem(step, mode, tree);
    // System call filters of an outer container may refuse the new calls only.
    by_call = status.op == Op::kFsopen && (status.err == EPERM || status.err == ENOSYS);
    if (!status.ok() && !by_call) return status;
  }
  if (by_call) TSRUN_TRY(MountByCall(ctx, step, mode, target.get(), tree));
  if (step.magic != 0) TSRUN_TRY(mount_tree::CheckMagic(tree.get(), step.magic, step.target.data));
  if (step.copy_up && existed) TSRUN_TRY(CopyTree(target.get(), tree.get()));
  const mount_tree::Changes changes = {.propagation = step.propagation};
  TSRUN_TRY(by_call ? mount_tree::Change(ctx, tree.get(), changes, step.target.data)
                    : mount_tree::ChangeAndAttach(ctx, tree.get(), changes, target.get(), step.target.data));
  FollowRoot(ctx, step.target, static_cast<UniqueFd&&>(tree));
  return Status::Ok();
}

Status Run(InitContext& ctx, const abi::MountBind& step) {
  constexpr uint64_t kOpenLink = abi::kLinkSourceNoFollow | abi::kLinkCopy;
  UniqueFd opened;
  if (step.slot.none())
    TSRUN_TRY(mount_tree::Clone(AT_FDCWD, step.source.data, step.recursive, opened,
                                (step.links & kOpenLink) != 0 ? in_root::Links::kRefuse : in_root::Links::kFollow));
  else
    opened = static_cast<UniqueFd&&>(ctx.slots.at(static_cast<uint32_t>(step.slot.number)));
  struct stat st;
  if (fstat(opened.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, step.source.data);
  if (S_ISLNK(st.st_mode) && (step.links & abi::kLinkCopy) != 0) return CopyLink(ctx, opened.get(), step);
  if (step.magic != 0) TSRUN_TRY(mount_tree::CheckMagic(opened.get(), step.magic, step.source.data));
  UniqueFd target;
  bool existed;
  TSRUN_TRY(mount_tree::OpenTarget(ctx.root.get(), step.target.data, S_ISDIR(st.st_mode), BindTargetLinks(step), target,
                                   existed));
  const mount_tree::Changes changes = {.set = step.attr_set,
                                       .clear = step.attr_clear,
                                       .recursive = step.attr_recursive,
                                       .propagation = step.propagation};
  TSRUN_TRY(mount_tree::ChangeAndAttach(ctx, opened.get(), changes, target.get(), step.target.data));
  FollowRoot(ctx, step.target, static_cast<UniqueFd&&>(opened));
  return Status::Ok();
}

Status Run(InitContext& ctx, const abi::MountTarget& step) {
  struct stat st;
  if (stat(step.source.data, &st) != 0) return Status::Fail(Op::kFstat, errno, step.source.data);
  UniqueFd target;
  bool existed;
  return mount_tree::OpenTarget(ctx.root.get(), step.target.data, S_ISDIR(st.st_mode), BindTargetLinks(step), target,
                                existed);
}

Status Run(InitContext& ctx, const abi::MountAttributes& step) {
  UniqueFd mount;
  TSRUN_TRY(in_root::Open(ctx.root.get(), step.target.data, O_PATH, in_root::Links::kFollow, mount));
  const mount_tree::Changes changes = {
      .set = step.set, .clear = step.clear, .recursive = step.recursive, .propagation = step.propagation};
  return mount_tree::Change(ctx, mount.get(), changes, step.target.data);
}

} // namespace tsrun
