#pragma once
#include <atomic>
#include <cstdint>

#include "addon/abi/plan.gen.h"
#include "addon/base/status.h"

/// What the host and tsrun-init share while a plan runs: one page range of a memfd that both map, and a socket.
namespace tsrun {

enum class StepState : uint32_t { kNotRun = 0, kRunning = 1, kDone = 2, kPassedOver = 3, kFailed = 4 };

/// Times are CLOCK_MONOTONIC nanoseconds.
struct StepReport {
  uint64_t begin_ns;
  uint64_t end_ns;
  StepState state;
  int32_t err; // of a step that failed or, being optional, was passed over
};

enum class FailureSide : uint32_t { kHost = 0, kContainer = 1 };

/// The fixed record of a failure: message text is made of it in TypeScript.
struct Failure {
  FailureSide side;
  uint32_t index; // in the side's list
  uint16_t kind;  // abi::StepKind
  uint16_t op;    // abi::Op
  int32_t err;
  int64_t detail;
  uint64_t duration_ns; // of the step
  char path[Status::kPathBytes];
  char text[Status::kTextBytes];
};

/// A fault asked for by a test: at the step of this index the executor fails (or the host process dies).
enum class FaultMode : uint32_t { kNone = 0, kFail = 1, kKillHost = 2 };
struct Fault {
  FaultMode mode = FaultMode::kNone;
  FailureSide side = FailureSide::kHost;
  uint32_t index = 0;
};

/// At the start of the shared mapping; `reports` follows with host_steps + container_steps entries.
struct Control {
  uint32_t host_steps;
  uint32_t container_steps;
  int32_t sync_fd; // tsrun-init's end of the socket
  int32_t plan_fd;
  uint32_t slot_count;
  int32_t slots[abi::kMaxSlots]; // file descriptor of each slot that was filled before the spawn, or -1
  Fault fault;
  StepReport reports[];
};

enum class MessageType : uint32_t {
  kPoint = 1,   // value: SyncPoint
  kChild = 2,   // value: pid of the second stage
  kFailure = 3, // failure is valid
  kGo = 4,      // host → container: recorded, wait at the gate on your own
  kFault = 5,   // container → host: the test's fault is reached, die
  // Container → host: about to load a filter whose listener will have the descriptor `value`. Back: passed on, go on.
  kListener = 6,
};

/// One datagram of the sync socket (SOCK_SEQPACKET). `pid` is the container's pid as the host sees it.
struct Message {
  MessageType type;
  uint32_t pid;
  uint64_t value;
  Failure failure;
};
/// Bytes of a message without its failure record.
inline constexpr size_t kShortMessage = offsetof(Message, failure);

} // namespace tsrun
