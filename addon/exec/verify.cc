#include "addon/exec/verify.h"

namespace tsrun {
namespace {

using abi::Cell;
using abi::FieldType;
using abi::RecordHeader;

constexpr uint64_t kMagic = 0x314e414c50525354; // "TSRPLAN1"

struct Header {
  uint64_t magic;
  uint32_t vocabulary;
  uint32_t bytes;
  uint32_t host_steps;
  uint32_t container_steps;
  uint32_t slots;
  uint32_t reserved;
};
static_assert(sizeof(Header) == 32 && sizeof(RecordHeader) == 8 && sizeof(Cell) == 8);

Status Bad(const char* what, size_t offset) {
  return Status::Fail(Op::kVerify, EINVAL, what, static_cast<int64_t>(offset));
}

/// Whether `count` elements of `width` bytes at `offset` lie inside a record, after its cells.
bool Inside(uint32_t offset, uint64_t count, uint64_t width, uint32_t cells_end, uint32_t record_bytes) {
  return offset >= cells_end && offset <= record_bytes && count * width <= record_bytes - offset;
}

bool TextIsGood(const char* record, Cell cell, uint32_t cells_end, uint32_t record_bytes) {
  if (!Inside(cell.offset, uint64_t{cell.count} + 1, 1, cells_end, record_bytes)) return false;
  const char* text = record + cell.offset;
  return memchr(text, '\0', size_t{cell.count} + 1) == text + cell.count;
}

Status VerifyRecord(const char* record, size_t at, const RecordHeader& header, const abi::StepInfo& info,
                    uint32_t slots) {
  const uint32_t cells_end = 8 + 8 * uint32_t{info.field_count};
  if (header.bytes < cells_end) return Bad("record too short", at);
  for (uint32_t i = 0; i < info.field_count; i++) {
    const size_t field_at = at + 8 + 8 * i;
    uint64_t number;
    memcpy(&number, record + 8 + 8 * i, sizeof number);
    Cell cell;
    memcpy(&cell, record + 8 + 8 * i, sizeof cell);
    switch (info.fields[i]) {
    case FieldType::kU64:
      break;
    case FieldType::kBool:
      if (number > 1) return Bad("truth value", field_at);
      break;
    case FieldType::kSlot:
      if (number != UINT64_MAX && number >= slots) return Bad("slot number", field_at);
      break;
    case FieldType::kStr:
      if (!TextIsGood(record, cell, cells_end, header.bytes)) return Bad("text", field_at);
      break;
    case FieldType::kBytes:
      if (!Inside(cell.offset, cell.count, 1, cells_end, header.bytes)) return Bad("bytes", field_at);
      break;
    case FieldType::kU64s:
      if (cell.count > abi::kMaxElements || cell.offset % 8 != 0 ||
          !Inside(cell.offset, cell.count, 8, cells_end, header.bytes))
        return Bad("list of integers", field_at);
      break;
    case FieldType::kStrs:
      if (cell.count > abi::kMaxElements || cell.offset % 8 != 0 ||
          !Inside(cell.offset, cell.count, sizeof(Cell), cells_end, header.bytes))
        return Bad("list of texts", field_at);
      for (uint32_t k = 0; k < cell.count; k++) {
        Cell element;
        memcpy(&element, record + cell.offset + size_t{8} * k, sizeof element);
        if (!TextIsGood(record, element, cells_end, header.bytes)) return Bad("text in a list", field_at);
      }
      break;
    }
  }
  return Status::Ok();
}

} // namespace

Status VerifyPlan(const char* data, size_t size, PlanView& view) {
  Header header;
  if (size < sizeof header || size > abi::kMaxPlanBytes) return Bad("size", 0);
  memcpy(&header, data, sizeof header);
  if (header.magic != kMagic) return Bad("magic", 0);
  if (header.vocabulary != abi::kVocabularyHash) return Bad("vocabulary: another build made this plan", 8);
  if (header.bytes != size || size % 8 != 0) return Bad("size", 12);
  if (header.slots > abi::kMaxSlots) return Bad("slots", 24);
  if (header.host_steps > abi::kMaxSteps || header.container_steps > abi::kMaxSteps ||
      header.host_steps + header.container_steps > abi::kMaxSteps)
    return Bad("steps", 16);

  size_t at = sizeof header;
  const uint32_t steps = header.host_steps + header.container_steps;
  for (uint32_t i = 0; i < steps; i++) {
    if (i == header.host_steps) view.first_container = data + at;
    RecordHeader record;
    if (size - at < sizeof record) return Bad("record beyond the end", at);
    memcpy(&record, data + at, sizeof record);
    if (record.bytes % 8 != 0 || record.bytes < sizeof record || record.bytes > size - at)
      return Bad("record size", at);
    if (record.kind > abi::kMaxStepCode || abi::kStepInfo[record.kind].name == nullptr) return Bad("step kind", at);
    if ((record.flags & ~abi::kFlagOptional) != 0) return Bad("step flags", at);
    const abi::StepInfo& info = abi::kStepInfo[record.kind];
    if ((info.sides & (i < header.host_steps ? 1 : 2)) == 0) return Bad("step on the wrong side", at);
    TSRUN_TRY(VerifyRecord(data + at, at, record, info, header.slots));
    at += record.bytes;
  }
  if (at != size) return Bad("bytes after the last step", at);
  view.host_steps = header.host_steps;
  view.container_steps = header.container_steps;
  view.slots = header.slots;
  view.first_host = data + sizeof header;
  if (header.container_steps == 0) view.first_container = data + at;
  return Status::Ok();
}

} // namespace tsrun
