#include "addon/exec/session.h"

#include <sys/mman.h>

#include <csignal>

#include "addon/base/memfd.h"
#include "addon/base/seqpacket.h"
#include "addon/exec/verify.h"
#include "addon/exec/walk.h"

namespace tsrun {
TSRUN_DEFINE_DISPATCH(HostContext, TSRUN_HOST_STEPS)

Session::Session(std::string init_path) {
  ctx_.init_path = std::move(init_path);
}

Session::~Session() {
  ForgetSignals();
  ForgetOrphans();
  Rollback();
  Unmap();
}

void Session::Unmap() {
  if (ctx_.control != nullptr) munmap(ctx_.control, ctx_.control_bytes);
  ctx_.control = nullptr;
}

void Session::Rollback() {
  for (; !ctx_.undo.empty(); ctx_.undo.pop_back())
    ctx_.undo.back()();
}

namespace {

/// The slots that the container's steps name.
std::bitset<abi::kMaxSlots> ContainerSlots(const PlanView& view) {
  std::bitset<abi::kMaxSlots> named;
  abi::Record record(view.first_container);
  for (uint32_t i = 0; i < view.container_steps; i++, record = record.next()) {
    const abi::StepInfo& info = abi::kStepInfo[record.header().kind];
    for (int field = 0; field < info.field_count; field++)
      if (info.fields[field] == abi::FieldType::kSlot && !record.slot(field).none())
        named.set(record.slot(field).number); // below kMaxSlots: verified
  }
  return named;
}

} // namespace

/// Makes what both sides map: the sealed plan and the control page. Nothing of the host is changed yet.
Status Session::Prepare(const char* plan, size_t bytes, const Fault& fault) {
  PlanView view;
  TSRUN_TRY(VerifyPlan(plan, bytes, view));
  Unmap();
  ctx_.slots.clear();
  ctx_.slot_count = view.slots;
  ctx_.container_slots = ContainerSlots(view);
  ctx_.control_bytes = sizeof(Control) + sizeof(StepReport) * (view.host_steps + view.container_steps);
  if (view.container_steps > 0) {
    TSRUN_TRY(SealedMemfd("tsrun-plan", plan, bytes, ctx_.plan_fd));
    TSRUN_TRY(DataMemfd("tsrun-control", ctx_.control_fd));
    if (ftruncate(ctx_.control_fd.get(), static_cast<off_t>(ctx_.control_bytes)) != 0)
      return Status::Fail(Op::kWrite, errno, "control memfd");
    // Cut short by whoever else has it, reading it would end us (SIGBUS).
    if (fcntl(ctx_.control_fd.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) != 0)
      return Status::Fail(Op::kFcntl, errno, "control memfd");
  }
  const int fd = view.container_steps > 0 ? ctx_.control_fd.get() : -1;
  void* mapping = mmap(nullptr, ctx_.control_bytes, PROT_READ | PROT_WRITE,
                       fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
  if (mapping == MAP_FAILED) return Status::Fail(Op::kMmap, errno, "control memfd");
  ctx_.control = static_cast<Control*>(mapping);
  ctx_.control->host_steps = ctx_.host_steps = view.host_steps;
  ctx_.control->container_steps = ctx_.container_steps = view.container_steps;
  ctx_.control->fault = ctx_.fault = fault;
  return Status::Ok();
}

Outcome Session::Execute(const char* plan, size_t bytes, const Fault& fault) {
  Outcome outcome;
  ctx_.undo.clear(); // what an earlier plan did stays done
  ctx_.container_failed = false;
  Status status = Prepare(plan, bytes, fault);
  uint16_t kind = 0;
  uint32_t index = 0;
  if (status.ok()) {
    PlanView view;
    status = VerifyPlan(plan, bytes, view);
    index = WalkSteps(
        ctx_, view.first_host, view.host_steps, ctx_.control->reports, FailureSide::kHost, fault,
        [&] {
          if (fault.mode == FaultMode::kKillHost) kill(getpid(), SIGKILL);
          return Status::Fail(Op::kInjected, EIO);
        },
        kind, status);
    outcome.failed = index < view.host_steps;
    const StepReport* reports = ctx_.control->reports;
    outcome.host.assign(reports, reports + view.host_steps);
    outcome.container.assign(reports + view.host_steps, reports + view.host_steps + view.container_steps);
  } else {
    outcome.failed = true;
  }
  if (outcome.failed) {
    if (ctx_.container_failed)
      outcome.failure = ctx_.container_failure;
    else
      FillFailure(outcome.failure, FailureSide::kHost, index, kind, status,
                  kind == 0 ? nullptr : &ctx_.control->reports[index]);
    Rollback();
  } else {
    outcome.pid = ctx_.pid;
  }
  // tsrun-init has its own copies; ours would only pile up.
  ctx_.slots.clear();
  ctx_.enter.clear();
  ctx_.spawn_cpus.clear();
  ctx_.plan_fd.reset();
  ctx_.control_fd.reset();
  return outcome;
}

Status Session::Commit() {
  ctx_.undo.clear();
  if (!ctx_.sync.valid()) return Status::Ok();
  Message message{};
  message.type = MessageType::kGo;
  const ssize_t sent = seqpacket::Send(ctx_.sync.get(), &message, kShortMessage);
  const int err = errno;
  ctx_.sync.reset();
  if (sent < 0) return Status::Fail(Op::kSendmsg, err, "sync socket");
  return Status::Ok();
}

std::vector<StepReport> Session::ContainerReports() const {
  if (ctx_.control == nullptr) return {};
  const StepReport* first = ctx_.control->reports + ctx_.host_steps;
  return {first, first + ctx_.container_steps};
}

} // namespace tsrun
