// Extraction with records that nobody would write: whatever comes, no byte is read or written that is not ours, and
// nothing outside of the directory changes. What whole archives become: src/image/unpack.root.test.ts.
#include "addon/extract/extraction.h"

#include <cstdlib>
#include <random>
#include <string>
#include <sys/stat.h>

#include "addon/base/sys.h"
#include "addon/base/test.h"

using namespace tsrun;
using namespace tsrun::extract;

namespace {

/// A directory for one test, removed with it.
class Scratch {
public:
  Scratch() { ok_ = mkdtemp(path_) != nullptr; }
  ~Scratch() {
    UniqueFd tmp(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (ok_) CHECK(RemoveTree(tmp.get(), path_ + strlen("/tmp/")).ok());
  }
  [[nodiscard]] const char* path() const { return path_; }

private:
  char path_[32] = "/tmp/tsrun-extract-XXXXXX";
  bool ok_ = false;
};

template <typename T> void Append(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string Record(RecordKind kind, const std::string& path, const std::string& target = "",
                   uint32_t mode = S_IFREG | 0644) {
  std::string out;
  Append(out, static_cast<uint8_t>(kind));
  Append(out, mode);
  Append(out, uint32_t{0});
  Append(out, uint32_t{0});
  Append(out, int64_t{1});
  Append(out, uint32_t{0});
  Append(out, uint32_t{0});
  Append(out, uint32_t{0});
  Append(out, static_cast<uint16_t>(path.size()));
  Append(out, static_cast<uint16_t>(target.size()));
  Append(out, uint16_t{1});
  out += path + target;
  const std::string name = "user.x";
  Append(out, static_cast<uint16_t>(name.size()));
  Append(out, uint32_t{3});
  return out + name + "abc";
}

std::string Data(uint64_t position, uint32_t offset, uint32_t size) {
  std::string out;
  Append(out, static_cast<uint8_t>(RecordKind::kData));
  Append(out, position);
  Append(out, offset);
  Append(out, size);
  return out;
}

std::string End(uint64_t size) {
  std::string out;
  Append(out, static_cast<uint8_t>(RecordKind::kFileEnd));
  Append(out, size);
  return out;
}

Status Apply(Extraction& extraction, const std::string& records, const std::string& data = "data") {
  return extraction.Apply(reinterpret_cast<const uint8_t*>(records.data()), records.size(),
                          reinterpret_cast<const uint8_t*>(data.data()), data.size());
}

Options AsCaller() {
  return {.owners = false, .uid = 0, .gid = 0, .opaque_attributes = {"user.overlay.opaque"}, .layers = true};
}

const std::string kValid = Record(RecordKind::kDirectory, "a/b", "", S_IFDIR | 0755) +
                           Record(RecordKind::kFile, "a/b/f") + Data(10, 0, 4) + End(20) +
                           Record(RecordKind::kSymlink, "l", "a/b") + Record(RecordKind::kHardLink, "l/h", "a/b/f") +
                           Record(RecordKind::kNode, "p", "", S_IFIFO | 0600) + Record(RecordKind::kWhiteout, "a/w") +
                           Record(RecordKind::kOpaque, "a/o") + std::string(1, static_cast<char>(RecordKind::kLayer)) +
                           Record(RecordKind::kRemoveLower, "a/b") + Record(RecordKind::kRemoveLowerInside, "a");

} // namespace

TEST(a_file_with_a_hole_at_both_ends) {
  Scratch scratch;
  Extraction extraction(AsCaller());
  CHECK(extraction.Open(scratch.path(), "work").ok());
  CHECK(Apply(extraction, Record(RecordKind::kFile, "d/f") + Data(10, 1, 2) + End(20)).ok());
  CHECK(extraction.Finish(false).ok());
  CHECK(extraction.Deliver("", "done").ok());
  CHECK(extraction.Discard().ok());
  struct stat st;
  CHECK(stat((std::string(scratch.path()) + "/done/d/f").c_str(), &st) == 0 && st.st_size == 20);
  CHECK(stat((std::string(scratch.path()) + "/work").c_str(), &st) != 0);
}

TEST(data_beyond_the_chunk_is_refused) {
  Scratch scratch;
  Extraction extraction(AsCaller());
  CHECK(extraction.Open(scratch.path(), "work").ok());
  CHECK(Apply(extraction, Record(RecordKind::kFile, "f")).ok());
  for (const auto& [offset, size] : {std::pair{5u, 0u}, {0u, 5u}, {4u, 1u}, {0xffffffffu, 2u}, {1u, 0xffffffffu}})
    CHECK(Apply(extraction, Data(0, offset, size)).op == Op::kVerify);
  CHECK(Apply(extraction, Data(0, 4, 0)).ok());
  CHECK(extraction.Discard().ok());
}

TEST(records_out_of_order_are_refused) {
  for (const std::string& records :
       {Data(0, 0, 1), End(1), Record(RecordKind::kFile, "f") + Record(RecordKind::kFile, "g"), std::string("\x7f"),
        std::string("\0", 1)}) {
    Scratch scratch;
    Extraction extraction(AsCaller());
    CHECK(extraction.Open(scratch.path(), "work").ok());
    CHECK(Apply(extraction, records).op == Op::kVerify);
    CHECK(extraction.Discard().ok());
  }
}

TEST(paths_that_are_none_are_refused) {
  for (const char* path : {"..", ".", "a/..", "../a", "a/../b", "/a", "a//b", "a/", "./a"}) {
    Scratch scratch;
    Extraction extraction(AsCaller());
    CHECK(extraction.Open(scratch.path(), "work").ok());
    for (const RecordKind kind : {RecordKind::kDirectory, RecordKind::kFile, RecordKind::kSymlink, RecordKind::kNode,
                                  RecordKind::kWhiteout, RecordKind::kOpaque, RecordKind::kRemoveLower})
      CHECK(Apply(extraction, Record(kind, path)).op == Op::kVerify);
    CHECK(Apply(extraction, Record(RecordKind::kHardLink, "h", path)).op == Op::kVerify);
    CHECK(extraction.Discard().ok());
  }
}

TEST(every_cut_of_valid_records_is_refused_or_a_prefix) {
  for (size_t size = 0; size <= kValid.size(); size += 7) {
    Scratch scratch;
    Extraction extraction(AsCaller());
    CHECK(extraction.Open(scratch.path(), "work").ok());
    const Status status = Apply(extraction, kValid.substr(0, size));
    CHECK(status.ok() || status.op == Op::kVerify);
    CHECK(extraction.Discard().ok());
  }
}

TEST(damaged_records_stay_inside) {
  std::minstd_rand random(1);
  for (int i = 0; i < 1000; i++) {
    Scratch scratch;
    Extraction extraction(AsCaller());
    CHECK(extraction.Open(scratch.path(), "work").ok());
    std::string records = kValid;
    for (unsigned changes = 1 + random() % 4; changes > 0; changes--)
      records[random() % records.size()] = static_cast<char>(random());
    // Any result: the sanitizers judge. A size of exabytes fails in ftruncate, or is a hole.
    (void)Apply(extraction, records).ok();
    CHECK(extraction.Discard().ok());
    UniqueFd directory(open(scratch.path(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    CHECK(unlinkat(directory.get(), "work", AT_REMOVEDIR) != 0 && errno == ENOENT);
  }
}

RUN_TESTS()
