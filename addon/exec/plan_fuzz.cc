// libFuzzer target: no bytes may make the verifier, or a reader of what it accepted, touch memory outside the plan.
#include <cstdlib>

#include "addon/exec/verify.h"

namespace {

volatile uint64_t sink;

void Read(const tsrun::abi::Record& record) {
  const auto& info = tsrun::abi::kStepInfo[record.header().kind];
  for (int i = 0; i < info.field_count; i++) {
    switch (info.fields[i]) {
    case tsrun::abi::FieldType::kU64:
    case tsrun::abi::FieldType::kBool:
    case tsrun::abi::FieldType::kSlot:
      sink = sink + record.u64(i);
      break;
    case tsrun::abi::FieldType::kStr:
      sink = sink + strlen(record.str(i).data);
      break;
    case tsrun::abi::FieldType::kBytes:
      for (uint32_t k = 0; k < record.bytes(i).size; k++)
        sink = sink + record.bytes(i).data[k];
      break;
    case tsrun::abi::FieldType::kU64s:
      for (uint32_t k = 0; k < record.u64s(i).size; k++)
        sink = sink + record.u64s(i)[k];
      break;
    case tsrun::abi::FieldType::kStrs:
      for (uint32_t k = 0; k < record.strs(i).size; k++)
        sink = sink + strlen(record.strs(i)[k].data);
      break;
    }
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A copy of exactly this size, so that one byte beyond it is seen; malloc aligns to 16.
  char* copy = static_cast<char*>(malloc(size == 0 ? 1 : size));
  if (size > 0) memcpy(copy, data, size);
  // Without this, almost every input stops at the first 12 bytes.
  if (size >= 32) {
    const uint64_t magic = 0x314e414c50525354;
    const uint32_t vocabulary = tsrun::abi::kVocabularyHash, bytes = static_cast<uint32_t>(size);
    memcpy(copy, &magic, 8);
    memcpy(copy + 8, &vocabulary, 4);
    memcpy(copy + 12, &bytes, 4);
  }
  tsrun::PlanView view;
  if (tsrun::VerifyPlan(copy, size, view).ok()) {
    tsrun::abi::Record record(view.first_host);
    for (uint32_t i = 0; i < view.host_steps + view.container_steps; i++, record = record.next())
      Read(record);
  }
  free(copy);
  return 0;
}
