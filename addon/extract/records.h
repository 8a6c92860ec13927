#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

/// What is to be made of an archive's entries, as src/image/records.ts writes it: a list of records, little-endian,
/// none aligned. Names are bytes without NUL; paths are relative, without `.`, `..` and empty components ("" is the
/// root).
namespace tsrun::extract {

enum class RecordKind : uint8_t {
  kDirectory = 1,          // stays if it is there; its mode, times and attributes come at the end
  kFile = 2,               // opens a new file; its data follows
  kData = 3,               // bytes of the open file
  kFileEnd = 4,            // size, owner, mode, attributes, times
  kSymlink = 5,            // target: the link's text
  kHardLink = 6,           // target: a path as above
  kNode = 7,               // device or FIFO, by the type in `mode`
  kWhiteout = 8,           // overlayfs: a character device 0:0 hides the name in lower layers
  kOpaque = 9,             // overlayfs: the directory hides those of lower layers
  kRemoveLower = 10,       // removes what earlier layers have put there
  kRemoveLowerInside = 11, // the same for everything in a directory
  kLayer = 12,             // what is there is from now on an earlier layer's
};

struct Attribute {
  std::string name;
  std::string value;
};

/// Owner, mode, modification time and extended attributes of an entry.
struct Metadata {
  uint32_t mode = 0; // with the file type
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t mtime_s = 0;
  uint32_t mtime_ns = 0;
  bool has_time = true;
  std::vector<Attribute> attributes;
};

struct Entry {
  Metadata meta;
  uint32_t major = 0;
  uint32_t minor = 0;
  std::string path;
  std::string target;
};

/// Whether a path has neither empty components nor `.` or `..`. The writer sees to it; a mistake there must not lead
/// out.
inline bool IsPath(const std::string& path) {
  for (size_t start = 0; !path.empty();) {
    const size_t slash = path.find('/', start);
    const size_t size = (slash == std::string::npos ? path.size() : slash) - start;
    if (size == 0 || path.compare(start, size, ".") == 0 || path.compare(start, size, "..") == 0) return false;
    if (slash == std::string::npos) break;
    start = slash + 1;
  }
  return true;
}

/// Reads records; every length is checked. After a failure `ok()` is false, and what was read is not to be used.
class Reader {
public:
  Reader(const uint8_t* at, size_t size) : at_(at), left_(size) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool done() const { return left_ == 0; }

  template <typename T> T Number() {
    T value{};
    if (!Has(sizeof value)) return value;
    memcpy(&value, at_, sizeof value);
    Skip(sizeof value);
    return value;
  }

  /// Text of this many bytes; a NUL in it is a failure, since the kernel would end there.
  std::string Text(size_t size) {
    std::string text = Bytes(size);
    if (text.find('\0') != std::string::npos) ok_ = false;
    return text;
  }

  std::string Bytes(size_t size) {
    if (!Has(size)) return {};
    std::string bytes(reinterpret_cast<const char*>(at_), size); // bytes as they are
    Skip(size);
    return bytes;
  }

  Entry ReadEntry() {
    Entry entry;
    entry.meta.mode = Number<uint32_t>();
    entry.meta.uid = Number<uint32_t>();
    entry.meta.gid = Number<uint32_t>();
    entry.meta.mtime_s = Number<int64_t>();
    entry.meta.mtime_ns = Number<uint32_t>();
    entry.major = Number<uint32_t>();
    entry.minor = Number<uint32_t>();
    const auto path_size = Number<uint16_t>();
    const auto target_size = Number<uint16_t>();
    const auto attributes = Number<uint16_t>();
    entry.path = Text(path_size);
    if (!IsPath(entry.path)) ok_ = false;
    entry.target = Text(target_size);
    for (uint16_t i = 0; ok_ && i < attributes; i++) {
      const auto name_size = Number<uint16_t>();
      const auto value_size = Number<uint32_t>();
      Attribute attribute;
      attribute.name = Text(name_size);
      attribute.value = Bytes(value_size);
      entry.meta.attributes.push_back(std::move(attribute));
    }
    return entry;
  }

private:
  bool Has(size_t size) {
    if (size > left_) ok_ = false;
    return ok_;
  }
  void Skip(size_t size) {
    at_ += size;
    left_ -= size;
  }

  const uint8_t* at_; // into the caller's records, which outlive us; left_ bytes are there
  size_t left_;
  bool ok_ = true;
};

} // namespace tsrun::extract
