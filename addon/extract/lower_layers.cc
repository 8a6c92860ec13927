#include "addon/extract/lower_layers.h"

#include <algorithm>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <utility>

#include "addon/base/sys.h"

namespace tsrun::extract {
namespace {

/// What a layer has under a path.
struct Look {
  UniqueFd directory; // valid if it holds the directory
  bool hides = false; // something of this layer hides what lower ones have there
};

/// Whether overlayfs takes a directory's content from this layer alone.
bool IsOpaque(int fd) {
  for (const char* name : {"trusted.overlay.opaque", "user.overlay.opaque"}) {
    char value = 0;
    if (fgetxattr(fd, name, &value, 1) == 1 && value == 'y') return true;
  }
  return false;
}

/// Component by component, without links: overlayfs merges directories only.
Status LookAt(int root, const std::string& path, Look& out) {
  UniqueFd at(openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!at.valid()) return Status::Fail(Op::kOpen, errno, path.c_str());
  for (size_t start = 0; start < path.size();) {
    const size_t end = std::min(path.find('/', start), path.size());
    UniqueFd next(
        openat(at.get(), path.substr(start, end - start).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next.valid()) {
      if (errno == ENOENT) return Status::Ok();
      out.hides = true;
      // A whiteout, or anything else that is no directory.
      return errno == ENOTDIR || errno == ELOOP ? Status::Ok() : Status::Fail(Op::kOpen, errno, path.c_str());
    }
    out.hides = out.hides || IsOpaque(next.get());
    at = std::move(next);
    start = end + 1;
  }
  out.directory = std::move(at);
  return Status::Ok();
}

Status ReadAttributes(int fd, const std::string& path, std::vector<Attribute>& out) {
  std::vector<char> names(64 * 1024); // XATTR_LIST_MAX
  const ssize_t size = flistxattr(fd, names.data(), names.size());
  if (size < 0) return errno == EOPNOTSUPP ? Status::Ok() : Status::Fail(Op::kRead, errno, path.c_str());
  for (ssize_t at = 0; at < size;) {
    Attribute attribute{.name = names.data() + at, .value = std::string(64 * 1024, '\0')}; // XATTR_SIZE_MAX
    at += static_cast<ssize_t>(attribute.name.size()) + 1;
    if (attribute.name.starts_with("trusted.overlay.") || attribute.name.starts_with("user.overlay.")) continue;
    const ssize_t length = fgetxattr(fd, attribute.name.c_str(), attribute.value.data(), attribute.value.size());
    if (length < 0) return Status::Fail(Op::kRead, errno, path.c_str());
    attribute.value.resize(static_cast<size_t>(length));
    out.push_back(std::move(attribute));
  }
  return Status::Ok();
}

} // namespace

Status LowerLayers::Add(const std::string& directory, std::unordered_set<std::string> untold) {
  Layer layer{.root = UniqueFd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)),
              .untold = std::move(untold)};
  if (!layer.root.valid()) return Status::Fail(Op::kOpen, errno, directory.c_str());
  layers_.push_back(std::move(layer));
  return Status::Ok();
}

Status LowerLayers::Find(const std::string& path, Found& found) const {
  found.uppermost = true;
  for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) {
    Look look;
    TSRUN_TRY(LookAt(layer->root.get(), path, look));
    if (look.directory.valid() && !layer->untold.contains(path)) {
      struct stat st;
      if (fstat(look.directory.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, path.c_str());
      found.named = true;
      found.meta.mode = st.st_mode;
      found.meta.uid = st.st_uid;
      found.meta.gid = st.st_gid;
      found.meta.mtime_s = st.st_mtim.tv_sec;
      found.meta.mtime_ns = static_cast<uint32_t>(st.st_mtim.tv_nsec);
      return ReadAttributes(look.directory.get(), path, found.meta.attributes);
    }
    if (look.directory.valid()) found.uppermost = false;
    if (look.hides) return Status::Ok();
  }
  return Status::Ok();
}

} // namespace tsrun::extract
