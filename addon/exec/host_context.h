#pragma once
#include <sys/types.h>

#include <bitset>
#include <functional>
#include <string>
#include <vector>

#include "addon/exec/shared.h"
#include "addon/exec/slots.h"

namespace tsrun {

/// What the host's steps share, in the process that runs the plan. One container (or one exec'd process) a context.
struct HostContext {
  HostContext() = default;
  HostContext(const HostContext&) = delete;
  HostContext& operator=(const HostContext&) = delete;

  // ---- of the plan that runs
  std::string init_path; // tsrun-init, to be copied into a sealed memfd
  UniqueFd plan_fd;      // the plan, sealed
  UniqueFd control_fd;   // the shared mapping
  Control* control = nullptr;
  size_t control_bytes = 0;
  // As in the mapping, which tsrun-init could change.
  uint32_t host_steps = 0, container_steps = 0;
  Fault fault;
  Slots slots;
  uint32_t slot_count = 0;
  std::bitset<abi::kMaxSlots> container_slots; // those that a step of the container's names
  /// v1 cgroups (their `tasks` files) that process.spawn clones in: cgroup.enter.
  struct EnteredCgroup {
    UniqueFd tasks;
    std::string path;
  };
  std::vector<EnteredCgroup> enter;
  /// CPUs that process.spawn clones on: process.spawnAffinity. Empty: those of the caller.
  std::vector<uint64_t> spawn_cpus;
  /// Undoing, newest first, when a later step fails or the caller rolls back. An undo reports nothing: what it cannot
  /// clean, the journal still names.
  std::vector<std::function<void()>> undo;
  /// Set by a step that met the container's own failure: it is reported instead of the step's.
  bool container_failed = false;
  Failure container_failure{};

  // ---- of the container's process, from the spawn until close
  UniqueFd sync;  // socket to tsrun-init
  pid_t pid = -1; // a child of ours; after process.adopt the second stage
  UniqueFd pidfd;
  UniqueFd console; // our end of console.pair
  UniqueFd notify;  // of notify.listen

  // ---- of CRIU, from criu.connect until criu.wait has seen its end
  UniqueFd criu;             // our end of its socket
  UniqueFd criu_pidfd;       // its process, once `pid` and `pidfd` are those of the restored one
  bool criu_waiting = false; // it has told of something and waits for our word
};

/// Every host step is one overload of Run, in addon/steps/*_host.cc (or *.cc when tsrun-init has it too).
#define TSRUN_DECLARE(Kind) Status Run(HostContext& ctx, const abi::Kind& step);
TSRUN_HOST_STEPS(TSRUN_DECLARE)
#undef TSRUN_DECLARE

/// Takes over a failure that tsrun-init has told of, whatever its texts end in.
void KeepFailure(HostContext& ctx, const Failure& failure);

/// Waits for the next message of tsrun-init. A failure of the container is kept in the context. Op::kPeer when the
/// other side ended without a word.
Status ReceiveMessage(HostContext& ctx, Message& message);

} // namespace tsrun
