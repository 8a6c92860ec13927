#pragma once
#include <ctime>

#include "addon/exec/shared.h"

namespace tsrun {

inline uint64_t MonotonicNs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
}

/// Decodes the record and calls the Run overload of its kind. `STEPS` is TSRUN_HOST_STEPS or TSRUN_CONTAINER_STEPS.
#define TSRUN_DEFINE_DISPATCH(Context, STEPS)                                                                          \
  inline Status Dispatch(Context& ctx, const abi::Record& record) {                                                    \
    switch (static_cast<abi::StepKind>(record.header().kind)) { STEPS(TSRUN_DISPATCH_CASE) default : break; }          \
    return Status::Fail(Op::kVerify, EINVAL, "step kind"); /* the verifier has refused these */                        \
  }
#define TSRUN_DISPATCH_CASE(Kind)                                                                                      \
  case abi::StepKind::k##Kind:                                                                                         \
    return Run(ctx, abi::Kind(record));

/// Fills a failure record from a failed step; `report` is null when no step has run.
inline void FillFailure(Failure& failure, FailureSide side, uint32_t index, uint16_t kind, const Status& status,
                        const StepReport* report) {
  failure.side = side;
  failure.index = index;
  failure.kind = kind;
  failure.op = static_cast<uint16_t>(status.op);
  failure.err = status.err;
  failure.detail = status.detail;
  failure.duration_ns = report != nullptr ? report->end_ns - report->begin_ns : 0;
  memcpy(failure.path, status.path, sizeof failure.path);
  memcpy(failure.text, status.text, sizeof failure.text);
}

/// Walks one list: runs each step, reports its time and result, stops at the first failure that is not optional.
/// `fault_hit` is called when the test's fault is reached and returns the status to use. Returns the index of the
/// failed step, or `count`; `kind` and `status` are the failed step's.
template <typename Context, typename FaultHit>
uint32_t WalkSteps(Context& ctx, const char* first, uint32_t count, StepReport* reports, FailureSide side,
                   const Fault& fault, FaultHit fault_hit, uint16_t& kind, Status& status) {
  abi::Record record(first);
  for (uint32_t i = 0; i < count; i++, record = record.next()) {
    StepReport& report = reports[i];
    report.begin_ns = MonotonicNs();
    report.state = StepState::kRunning;
    if (fault.mode != FaultMode::kNone && fault.side == side && fault.index == i) [[unlikely]]
      status = fault_hit();
    else
      status = Dispatch(ctx, record);
    report.end_ns = MonotonicNs();
    if (status.ok()) {
      report.state = StepState::kDone;
      continue;
    }
    report.err = status.err;
    if (record.optional()) {
      report.state = StepState::kPassedOver;
      continue;
    }
    report.state = StepState::kFailed;
    kind = record.header().kind;
    return i;
  }
  return count;
}

} // namespace tsrun
