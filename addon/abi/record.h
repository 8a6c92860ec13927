#pragma once
#include <cstddef>
#include <cstdint>

namespace tsrun::abi {

enum class FieldType : uint8_t { kU64, kBool, kStr, kStrs, kBytes, kU64s, kSlot };

/// Text inside a verified plan: NUL-terminated, without a NUL inside.
struct Str {
  const char* data;
  uint32_t size;
  [[nodiscard]] bool empty() const { return size == 0; }
};

struct Bytes {
  const uint8_t* data;
  uint32_t size;
};

struct U64s {
  const uint64_t* data;
  uint32_t size;
  uint64_t operator[](uint32_t i) const { return data[i]; }
};

/// The number of a file descriptor slot, or none.
struct Slot {
  uint64_t number;
  [[nodiscard]] bool none() const { return number == UINT64_MAX; }
};

struct Cell {
  uint32_t offset;
  uint32_t count;
};

struct Strs {
  const char* record;
  const Cell* cells;
  uint32_t size;
  [[nodiscard]] Str operator[](uint32_t i) const { return {record + cells[i].offset, cells[i].count}; }
};

struct RecordHeader {
  uint16_t kind;
  uint16_t flags;
  uint32_t bytes;
};
inline constexpr uint16_t kFlagOptional = 1;

/// One step of a *verified* plan (VerifyPlan): accessors check nothing any more.
class Record {
public:
  explicit Record(const char* start) : start_(start) {}

  // The plan is 8-byte aligned and verified, so these casts read aligned, initialised memory inside the mapping.
  [[nodiscard]] const RecordHeader& header() const { return *reinterpret_cast<const RecordHeader*>(start_); }
  [[nodiscard]] bool optional() const { return (header().flags & kFlagOptional) != 0; }
  [[nodiscard]] uint64_t u64(int field) const { return reinterpret_cast<const uint64_t*>(start_ + 8)[field]; }
  [[nodiscard]] int64_t i64(int field) const { return static_cast<int64_t>(u64(field)); }
  [[nodiscard]] bool bool_(int field) const { return u64(field) != 0; }
  [[nodiscard]] Slot slot(int field) const { return {u64(field)}; }
  [[nodiscard]] Str str(int field) const { return {start_ + cell(field).offset, cell(field).count}; }
  [[nodiscard]] Strs strs(int field) const {
    return {start_, reinterpret_cast<const Cell*>(start_ + cell(field).offset), cell(field).count};
  }
  [[nodiscard]] Bytes bytes(int field) const {
    return {reinterpret_cast<const uint8_t*>(start_ + cell(field).offset), cell(field).count};
  }
  [[nodiscard]] U64s u64s(int field) const {
    return {reinterpret_cast<const uint64_t*>(start_ + cell(field).offset), cell(field).count};
  }
  [[nodiscard]] Record next() const { return Record(start_ + header().bytes); }

private:
  [[nodiscard]] const Cell& cell(int field) const { return reinterpret_cast<const Cell*>(start_ + 8)[field]; }
  const char* start_;
};

} // namespace tsrun::abi
