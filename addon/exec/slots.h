#pragma once
#include "addon/abi/plan.gen.h"
#include "addon/base/unique_fd.h"

namespace tsrun {

/// The named file descriptors of a plan. The verifier has checked every slot number.
class Slots {
public:
  [[nodiscard]] int get(abi::Slot slot) const { return slot.none() ? -1 : fds_[slot.number].get(); }
  void put(abi::Slot slot, UniqueFd fd) {
    if (!slot.none()) fds_[slot.number] = static_cast<UniqueFd&&>(fd);
  }
  UniqueFd& at(uint32_t number) { return fds_[number]; }
  void clear() {
    for (UniqueFd& fd : fds_)
      fd.reset();
  }

private:
  UniqueFd fds_[abi::kMaxSlots];
};

} // namespace tsrun
