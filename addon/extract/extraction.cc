#include "addon/extract/extraction.h"

#include <algorithm>
#include <climits>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <utility>

#include "addon/base/sys.h"

namespace tsrun::extract {
namespace {

constexpr const char* kRootName = "root";
constexpr uint32_t kDefaultMode = 0755;
/// openat2 gives EAGAIN when a rename anywhere came between it and a `..` in a link.
constexpr int kMaxTries = 128;

int OpenInRoot(int root, const char* path, uint64_t flags, uint64_t resolve = 0) {
  int fd = -1;
  for (int i = 0; i < kMaxTries; i++) {
    fd = sys::Openat2(root, path, flags | O_CLOEXEC, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return fd;
}

bool IsWhiteout(const struct stat& st) {
  return S_ISCHR(st.st_mode) && st.st_rdev == 0;
}

size_t DepthOf(const std::string& path) {
  return path.empty() ? 0 : 1 + static_cast<size_t>(std::count(path.begin(), path.end(), '/'));
}

/// Such an attribute is a loss that the caller tells of; without one of security.* the file would be another.
bool MayBeLost(const std::string& name) {
  return name.starts_with("user.") || name.starts_with("system.posix_acl_");
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

const char* NameIn(const std::string& path) {
  const size_t slash = path.rfind('/');
  return path.c_str() + (slash == std::string::npos ? 0 : slash + 1);
}

/// A directory that a whiteout is about, as it is or not at all: a link in its place is this layer's or one that no
/// layer's differences go through, and what it leads to is not meant. `missing` when there is none.
Status OpenForWhiteout(int root, const std::string& path, UniqueFd& out, bool& missing) {
  out.reset(OpenInRoot(root, path.c_str(), O_RDONLY | O_DIRECTORY, RESOLVE_NO_SYMLINKS));
  missing = !out.valid();
  if (out.valid() || errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return Status::Ok();
  return Status::Fail(Op::kOpenat2, errno, path.c_str());
}

/// Of a directory that no entry names.
Metadata Untold() {
  Metadata meta;
  meta.mode = kDefaultMode;
  meta.has_time = false;
  return meta;
}

Status Malformed() {
  return Status::Fail(Op::kVerify, EINVAL, "", 0, "malformed records");
}

} // namespace

Status Extraction::Open(const std::string& parent, const std::string& name) {
  outside_.reset(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!outside_.valid()) return Status::Fail(Op::kOpen, errno, parent.c_str());
  if (mkdirat(outside_.get(), name.c_str(), 0700) != 0) return Status::Fail(Op::kMkdirat, errno, parent.c_str());
  workshop_.reset(openat(outside_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!workshop_.valid()) return Status::Fail(Op::kOpen, errno, parent.c_str());
  workshop_name_ = name;
  struct stat st;
  if (fstat(workshop_.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, parent.c_str());
  // Not what we have made: the owner of `parent` was quicker.
  if (st.st_uid != geteuid() || (st.st_mode & 0077) != 0)
    return Status::Fail(Op::kVerify, EPERM, parent.c_str(), 0, "the temporary directory was replaced");
  if (mkdirat(workshop_.get(), kRootName, 0700) != 0) return Status::Fail(Op::kMkdirat, errno, parent.c_str());
  root_.reset(openat(workshop_.get(), kRootName, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root_.valid()) return Status::Fail(Op::kOpen, errno, parent.c_str());
  if (fstat(root_.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, parent.c_str());
  const UniqueFd probe(OpenInRoot(root_.get(), ".", O_PATH | O_DIRECTORY));
  if (!probe.valid()) return Status::Fail(Op::kOpenat2, errno, parent.c_str());
  if (options_.owners && fchown(root_.get(), options_.uid, options_.gid) != 0)
    return Status::Fail(Op::kFchown, errno, parent.c_str());
  directories_[st.st_ino] = {.path = "", .meta = Untold(), .opaque = false};
  return Status::Ok();
}

std::vector<std::string> Extraction::untold() const {
  std::vector<std::string> paths;
  for (const auto& [inode, deferred] : directories_)
    if (!deferred.told) paths.push_back(deferred.path);
  return paths;
}

Status Extraction::Inherit(const LowerLayers& layers, const std::vector<std::string>& paths, uint64_t& made) {
  made = 0;
  const auto make = [&](const std::string& path, bool always) -> Status {
    LowerLayers::Found found;
    TSRUN_TRY(layers.Find(path, found));
    if (!found.named || (found.uppermost && !always)) return Status::Ok();
    Entry entry;
    entry.meta = std::move(found.meta);
    entry.path = path;
    made++;
    return MakeDirectory(entry);
  };
  for (const std::string& path : paths)
    TSRUN_TRY(make(path, false));
  if (made == 0) return Status::Ok();
  // Those on the way: they would hide what is below, too.
  for (const std::string& path : untold())
    TSRUN_TRY(make(path, true));
  return Status::Ok();
}

Status Extraction::Deliver(const std::string& directory, const std::string& name) {
  UniqueFd opened;
  if (!directory.empty()) {
    opened.reset(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!opened.valid()) return Status::Fail(Op::kOpen, errno, directory.c_str());
  }
  const int to = directory.empty() ? outside_.get() : opened.get();
  if (renameat(workshop_.get(), kRootName, to, name.c_str()) != 0)
    return Status::Fail(Op::kRenameat, errno, name.c_str());
  return Status::Ok();
}

Status Extraction::Discard() {
  Forget();
  file_.reset();
  root_.reset();
  if (!workshop_.valid()) return Status::Ok();
  TSRUN_TRY(RemoveTree(workshop_.get(), kRootName));
  workshop_.reset();
  // Whoever owns the directory around it may have moved it away.
  if (unlinkat(outside_.get(), workshop_name_.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT && errno != ENOTDIR)
    return Status::Fail(Op::kRmdir, errno, workshop_name_.c_str());
  return Status::Ok();
}

Status Extraction::Apply(const uint8_t* records, size_t records_size, const uint8_t* data, size_t data_size) {
  Reader reader(records, records_size);
  while (!reader.done()) {
    const auto kind = static_cast<RecordKind>(reader.Number<uint8_t>());
    TSRUN_TRY(Do(kind, reader, data, data_size));
  }
  return Status::Ok();
}

Status Extraction::Do(RecordKind kind, Reader& reader, const uint8_t* data, size_t data_size) {
  switch (kind) {
  case RecordKind::kData:
    return Write(reader, data, data_size);
  case RecordKind::kFileEnd: {
    const auto size = reader.Number<uint64_t>();
    return reader.ok() ? EndFile(size) : Malformed();
  }
  case RecordKind::kLayer:
    made_.clear();
    return Status::Ok();
  case RecordKind::kDirectory:
  case RecordKind::kFile:
  case RecordKind::kSymlink:
  case RecordKind::kHardLink:
  case RecordKind::kNode:
  case RecordKind::kWhiteout:
  case RecordKind::kOpaque:
  case RecordKind::kRemoveLower:
  case RecordKind::kRemoveLowerInside:
    break;
  }
  Entry entry = reader.ReadEntry();
  if (!reader.ok() || file_.valid()) return Malformed();
  // The root is a directory.
  if (entry.path.empty() && kind != RecordKind::kDirectory && kind != RecordKind::kRemoveLowerInside)
    return Malformed();
  switch (kind) {
  case RecordKind::kDirectory:
    return MakeDirectory(entry);
  case RecordKind::kFile:
    return BeginFile(std::move(entry));
  case RecordKind::kSymlink:
    return MakeSymlink(entry);
  case RecordKind::kHardLink:
    return MakeHardLink(entry);
  case RecordKind::kNode:
    return MakeNode(entry);
  case RecordKind::kWhiteout:
    return MakeWhiteout(entry.path);
  case RecordKind::kOpaque:
    return MakeOpaque(entry.path);
  case RecordKind::kRemoveLower:
    return RemoveLower(entry.path);
  case RecordKind::kRemoveLowerInside:
    return RemoveLowerInside(entry.path);
  case RecordKind::kData:
  case RecordKind::kFileEnd:
  case RecordKind::kLayer:
    break;
  }
  return Malformed();
}

Status Extraction::EnterDirectory(int parent, const char* name, const std::string& path, UniqueFd& out,
                                  Deferred*& deferred) {
  bool opaque = false;
  bool is_new = true;
  if (mkdirat(parent, name, 0700) != 0) {
    if (errno != EEXIST) return Status::Fail(Op::kMkdirat, errno, path.c_str());
    struct stat there;
    if (fstatat(parent, name, &there, AT_SYMLINK_NOFOLLOW) != 0) return Status::Fail(Op::kFstat, errno, path.c_str());
    is_new = !S_ISDIR(there.st_mode);
    if (is_new) {
      opaque = IsWhiteout(there) && !options_.opaque_attributes.empty();
      if (unlinkat(parent, name, 0) != 0) return Status::Fail(Op::kUnlinkat, errno, path.c_str());
      if (mkdirat(parent, name, 0700) != 0) return Status::Fail(Op::kMkdirat, errno, path.c_str());
    }
  }
  out.reset(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!out.valid()) return Status::Fail(Op::kOpen, errno, path.c_str());
  struct stat st;
  if (fstat(out.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, path.c_str());
  deferred = &directories_[st.st_ino];
  // A directory that had this inode number before is gone.
  if (is_new) *deferred = {.path = path, .meta = Untold(), .opaque = opaque};
  return Status::Ok();
}

Status Extraction::OpenParents(const std::string& directory) {
  UniqueFd at(OpenInRoot(root_.get(), directory.c_str(), O_PATH | O_DIRECTORY));
  if (!at.valid() && (errno == ENOENT || errno == ENOTDIR)) {
    // Along the path: what is there is entered as openat2 sees it, what is missing is made.
    for (size_t start = 0; start < directory.size();) {
      size_t end = directory.find('/', start);
      if (end == std::string::npos) end = directory.size();
      const std::string path = directory.substr(0, end);
      const std::string name = directory.substr(start, end - start);
      UniqueFd next(OpenInRoot(root_.get(), path.c_str(), O_PATH | O_DIRECTORY));
      if (!next.valid()) {
        if (errno != ENOENT && errno != ENOTDIR) return Status::Fail(Op::kOpenat2, errno, path.c_str());
        const int parent = at.valid() ? at.get() : root_.get();
        struct stat st;
        const bool there = fstatat(parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
        if (there && (options_.opaque_attributes.empty() || !IsWhiteout(st)))
          return Status::Fail(Op::kVerify, ENOTDIR, path.c_str(), 0,
                              S_ISLNK(st.st_mode) ? "a link that leads to no directory" : "");
        Deferred* deferred;
        TSRUN_TRY(EnterDirectory(parent, name.c_str(), path, next, deferred));
        if (options_.owners && fchown(next.get(), options_.uid, options_.gid) != 0)
          return Status::Fail(Op::kFchown, errno, path.c_str());
      }
      at = std::move(next);
      start = end + 1;
    }
  }
  if (!at.valid()) return Status::Fail(Op::kOpenat2, errno, directory.c_str());
  parent_ = std::move(at);
  parent_path_ = directory;
  return Status::Ok();
}

Status Extraction::Find(const std::string& path, Place& place) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) {
    place = {root_.get(), path.c_str()};
    return Status::Ok();
  }
  if (!parent_.valid() || path.compare(0, slash, parent_path_) != 0 || parent_path_.size() != slash)
    TSRUN_TRY(OpenParents(path.substr(0, slash)));
  place = {parent_.get(), path.c_str() + slash + 1};
  return Status::Ok();
}

Status Extraction::Clear(const Place& place) {
  ForgetIfBelow(place);
  return RemoveTree(place.parent, place.name);
}

void Extraction::ForgetIfBelow(const Place& place) {
  // Otherwise it is the place's own parent.
  if (place.parent == root_.get()) Forget();
}

Status Extraction::MakeDirectory(const Entry& entry) {
  UniqueFd fd;
  Deferred* deferred;
  if (entry.path.empty()) {
    fd.reset(openat(root_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) return Status::Fail(Op::kOpen, errno, "root");
    struct stat st;
    if (fstat(fd.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, "root");
    deferred = &directories_[st.st_ino];
  } else {
    Place place;
    TSRUN_TRY(Find(entry.path, place));
    TSRUN_TRY(EnterDirectory(place.parent, place.name, entry.path, fd, deferred));
  }
  deferred->meta = entry.meta;
  deferred->told = true;
  if (options_.owners && fchown(fd.get(), entry.meta.uid, entry.meta.gid) != 0)
    return Status::Fail(Op::kFchown, errno, entry.path.c_str());
  if (options_.layers) {
    struct stat st;
    if (fstat(fd.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, entry.path.c_str());
    Made(st.st_ino);
  }
  if (entry.path.empty()) return Status::Ok();
  // What follows is most often in it.
  parent_ = std::move(fd);
  parent_path_ = entry.path;
  return Status::Ok();
}

Status Extraction::BeginFile(Entry entry) {
  Place place;
  TSRUN_TRY(Find(entry.path, place));
  const auto make = [&] {
    return openat(place.parent, place.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  };
  file_.reset(make());
  if (!file_.valid() && errno == EEXIST) {
    TSRUN_TRY(Clear(place));
    file_.reset(make());
  }
  if (!file_.valid()) return Status::Fail(Op::kOpen, errno, entry.path.c_str());
  file_entry_ = std::move(entry);
  return Status::Ok();
}

Status Extraction::Write(Reader& reader, const uint8_t* data, size_t data_size) {
  auto position = reader.Number<uint64_t>();
  const auto offset = reader.Number<uint32_t>();
  auto left = reader.Number<uint32_t>();
  if (!reader.ok() || !file_.valid() || offset > data_size || left > data_size - offset) return Malformed();
  const uint8_t* at = data + offset;
  while (left > 0) {
    const ssize_t written = sys::Retry([&] { return pwrite(file_.get(), at, left, static_cast<off_t>(position)); });
    if (written < 0) return Status::Fail(Op::kWrite, errno, file_entry_.path.c_str());
    at += written;
    position += static_cast<uint64_t>(written);
    left -= static_cast<uint32_t>(written);
  }
  return Status::Ok();
}

Status Extraction::EndFile(uint64_t size) {
  if (!file_.valid()) return Malformed();
  const UniqueFd file = std::move(file_);
  const Metadata& meta = file_entry_.meta;
  const char* path = file_entry_.path.c_str();
  struct stat st;
  if (fstat(file.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, path);
  Made(st.st_ino);
  // A hole at the end.
  if (static_cast<uint64_t>(st.st_size) != size && ftruncate(file.get(), static_cast<off_t>(size)) != 0)
    return Status::Fail(Op::kFtruncate, errno, path);
  // Owner first: chown takes set-id bits and security.capability away.
  if (options_.owners && fchown(file.get(), meta.uid, meta.gid) != 0) return Status::Fail(Op::kFchown, errno, path);
  if (fchmod(file.get(), meta.mode & 07777) != 0) return Status::Fail(Op::kFchmod, errno, path);
  TSRUN_TRY(SetAttributes(file.get(), nullptr, meta, file_entry_.path));
  const timespec times[2] = {{0, UTIME_OMIT}, {meta.mtime_s, meta.mtime_ns}};
  if (futimens(file.get(), times) != 0) return Status::Fail(Op::kUtimensat, errno, path);
  return Status::Ok();
}

Status Extraction::SetAttributes(int fd, const char* proc_path, const Metadata& meta, const std::string& path) {
  for (const Attribute& each : meta.attributes) {
    const int result = proc_path == nullptr
                           ? fsetxattr(fd, each.name.c_str(), each.value.data(), each.value.size(), 0)
                           : setxattr(proc_path, each.name.c_str(), each.value.data(), each.value.size(), 0);
    if (result == 0) continue;
    // EPERM of user.*: only regular files and directories can have them (xattr(7)).
    const bool lost = errno == EOPNOTSUPP || (errno == EPERM && proc_path != nullptr);
    if (!lost || !MayBeLost(each.name)) return Status::Fail(Op::kFsetxattr, errno, path.c_str(), 0, each.name.c_str());
    lost_attributes_++;
  }
  return Status::Ok();
}

Status Extraction::SetOpaque(int fd, const std::string& path) {
  bool first = true;
  for (const std::string& name : options_.opaque_attributes) {
    if (fsetxattr(fd, name.c_str(), "y", 1, 0) != 0 && (first || errno != EOPNOTSUPP))
      return Status::Fail(Op::kFsetxattr, errno, path.c_str(), 0, name.c_str());
    first = false;
  }
  return Status::Ok();
}

Status Extraction::FinishSpecial(const Place& place, const Entry& entry) {
  const Metadata& meta = entry.meta;
  const char* path = entry.path.c_str();
  if (options_.owners && fchownat(place.parent, place.name, meta.uid, meta.gid, AT_SYMLINK_NOFOLLOW) != 0)
    return Status::Fail(Op::kFchown, errno, path);
  // O_PATH: opening a device would reach its driver, a FIFO would wait.
  UniqueFd fd(openat(place.parent, place.name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return Status::Fail(Op::kOpen, errno, path);
  struct stat st;
  if (fstat(fd.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, path);
  Made(st.st_ino);
  char proc_path[32] = "/proc/self/fd/";
  sys::FormatU64(static_cast<uint64_t>(fd.get()), proc_path + strlen(proc_path));
  if (!S_ISLNK(st.st_mode) && chmod(proc_path, meta.mode & 07777) != 0) return Status::Fail(Op::kFchmod, errno, path);
  TSRUN_TRY(SetAttributes(fd.get(), proc_path, meta, entry.path));
  const timespec times[2] = {{0, UTIME_OMIT}, {meta.mtime_s, meta.mtime_ns}};
  if (utimensat(place.parent, place.name, times, AT_SYMLINK_NOFOLLOW) != 0)
    return Status::Fail(Op::kUtimensat, errno, path);
  return Status::Ok();
}

Status Extraction::MakeSymlink(const Entry& entry) {
  Place place;
  TSRUN_TRY(Find(entry.path, place));
  int result = symlinkat(entry.target.c_str(), place.parent, place.name);
  if (result != 0 && errno == EEXIST) {
    TSRUN_TRY(Clear(place));
    result = symlinkat(entry.target.c_str(), place.parent, place.name);
  }
  if (result != 0) return Status::Fail(Op::kSymlinkat, errno, entry.path.c_str());
  return FinishSpecial(place, entry);
}

Status Extraction::MakeHardLink(const Entry& entry) {
  if (entry.target.empty() || !IsPath(entry.target)) return Malformed();
  const UniqueFd from(OpenInRoot(root_.get(), ParentOf(entry.target).c_str(), O_PATH | O_DIRECTORY));
  if (!from.valid()) return Status::Fail(Op::kLinkat, errno, entry.target.c_str(), 0, entry.path.c_str());
  const char* name = NameIn(entry.target);
  struct stat target;
  if (fstatat(from.get(), name, &target, AT_SYMLINK_NOFOLLOW) != 0)
    return Status::Fail(Op::kLinkat, errno, entry.target.c_str(), 0, entry.path.c_str());
  Place place;
  TSRUN_TRY(Find(entry.path, place));
  int result = linkat(from.get(), name, place.parent, place.name, 0);
  if (result != 0 && errno == EEXIST) {
    struct stat there;
    if (fstatat(place.parent, place.name, &there, AT_SYMLINK_NOFOLLOW) != 0)
      return Status::Fail(Op::kFstat, errno, entry.path.c_str());
    if (there.st_ino != target.st_ino) {
      TSRUN_TRY(Clear(place));
      result = linkat(from.get(), name, place.parent, place.name, 0);
    } else {
      result = 0; // to itself, or once more
    }
  }
  if (result != 0) return Status::Fail(Op::kLinkat, errno, entry.target.c_str(), 0, entry.path.c_str());
  Made(target.st_ino);
  return Status::Ok();
}

Status Extraction::MakeNode(const Entry& entry) {
  Place place;
  TSRUN_TRY(Find(entry.path, place));
  const mode_t mode = (entry.meta.mode & S_IFMT) | 0600;
  const dev_t device = sys::DeviceNumber(entry.major, entry.minor);
  int result = mknodat(place.parent, place.name, mode, device);
  if (result != 0 && errno == EEXIST) {
    TSRUN_TRY(Clear(place));
    result = mknodat(place.parent, place.name, mode, device);
  }
  if (result != 0) return Status::Fail(Op::kMknodat, errno, entry.path.c_str());
  return FinishSpecial(place, entry);
}

bool Extraction::IsHidden(const std::string& directory) {
  if (directory.empty() || directory == ".") return false;
  const UniqueFd fd(OpenInRoot(root_.get(), directory.c_str(), O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS));
  return !fd.valid() && (errno == ENOTDIR || errno == ELOOP);
}

Status Extraction::MakeWhiteout(const std::string& path) {
  if (IsHidden(ParentOf(path))) return Status::Ok();
  Place place;
  TSRUN_TRY(Find(path, place));
  struct stat st;
  if (fstatat(place.parent, place.name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
    // It hides what is lower, not what this layer has put there; that hides the lower one itself, but for a directory,
    // which would be merged with it.
    return S_ISDIR(st.st_mode) ? MakeOpaque(path) : Status::Ok();
  }
  if (errno != ENOENT) return Status::Fail(Op::kFstat, errno, path.c_str());
  // Linux 5.8: needs no CAP_MKNOD.
  if (mknodat(place.parent, place.name, S_IFCHR, 0) != 0) return Status::Fail(Op::kMknodat, errno, path.c_str());
  return Status::Ok();
}

Status Extraction::MakeOpaque(const std::string& path) {
  if (IsHidden(path)) return Status::Ok();
  Place place;
  TSRUN_TRY(Find(path, place));
  UniqueFd fd;
  Deferred* deferred;
  struct stat st;
  const bool is_new = fstatat(place.parent, place.name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode);
  TSRUN_TRY(EnterDirectory(place.parent, place.name, path, fd, deferred));
  ForgetIfBelow(place);
  if (is_new && options_.owners && fchown(fd.get(), options_.uid, options_.gid) != 0)
    return Status::Fail(Op::kFchown, errno, path.c_str());
  deferred->opaque = true;
  return Status::Ok();
}

Status Extraction::RemoveLower(const std::string& path) {
  Forget();
  UniqueFd parent;
  bool missing;
  TSRUN_TRY(OpenForWhiteout(root_.get(), ParentOf(path), parent, missing));
  return missing ? Status::Ok() : RemoveExcept(parent.get(), NameIn(path), made_);
}

Status Extraction::RemoveLowerInside(const std::string& path) {
  Forget();
  UniqueFd directory;
  bool missing;
  TSRUN_TRY(OpenForWhiteout(root_.get(), path.empty() ? "." : path, directory, missing));
  return missing ? Status::Ok() : RemoveInsideExcept(directory.get(), made_);
}

Status Extraction::Finish(bool sync) {
  if (file_.valid()) return Malformed();
  Forget();
  std::vector<std::pair<uint64_t, const Deferred*>> order;
  order.reserve(directories_.size());
  for (const auto& [inode, deferred] : directories_)
    order.emplace_back(inode, &deferred);
  // The deepest first: a parent's mode may keep us out.
  std::sort(order.begin(), order.end(),
            [](const auto& a, const auto& b) { return DepthOf(a.second->path) > DepthOf(b.second->path); });
  for (const auto& [inode, deferred] : order) {
    const std::string& path = deferred->path;
    const UniqueFd fd(OpenInRoot(root_.get(), path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (!fd.valid()) {
      // Something else has its name now.
      if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) continue;
      return Status::Fail(Op::kOpenat2, errno, path.c_str());
    }
    struct stat st;
    if (fstat(fd.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, path.c_str());
    if (st.st_ino != inode) continue;
    const Metadata& meta = deferred->meta;
    if (fchmod(fd.get(), meta.mode & 07777) != 0) return Status::Fail(Op::kFchmod, errno, path.c_str());
    TSRUN_TRY(SetAttributes(fd.get(), nullptr, meta, path));
    if (deferred->opaque) TSRUN_TRY(SetOpaque(fd.get(), path));
    const timespec times[2] = {{0, UTIME_OMIT}, {meta.mtime_s, meta.mtime_ns}};
    if (meta.has_time && futimens(fd.get(), times) != 0) return Status::Fail(Op::kUtimensat, errno, path.c_str());
  }
  if (sync && syncfs(root_.get()) != 0) return Status::Fail(Op::kSyncfs, errno, "");
  return Status::Ok();
}

} // namespace tsrun::extract
