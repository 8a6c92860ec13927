// tsrun-init: a small static program, run from a sealed memfd, that carries out the container's half of a plan and ends
// in execve of the container's program. argv[1] is the descriptor of the control mapping; everything else is in it.
#include <csignal>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "addon/base/seqpacket.h"
#include "addon/exec/init_context.h"
#include "addon/exec/verify.h"
#include "addon/exec/walk.h"

namespace tsrun {
TSRUN_DEFINE_DISPATCH(InitContext, TSRUN_CONTAINER_STEPS)

namespace {

[[noreturn]] void Die(const char* what) {
  // Without a control mapping there is nobody to tell but standard error.
  const char prefix[] = "tsrun-init: ";
  ssize_t ignored = write(2, prefix, sizeof prefix - 1);
  ignored = write(2, what, strlen(what));
  ignored = write(2, "\n", 1);
  (void)ignored;
  _exit(125);
}

int ParseFd(const char* text) {
  int value = 0;
  if (*text == '\0') return -1;
  for (; *text != '\0'; text++) {
    if (*text < '0' || *text > '9' || value > 1'000'000) return -1;
    value = value * 10 + (*text - '0');
  }
  return value;
}

/// Maps a descriptor, which becomes close-on-exec again: the spawn made it inheritable for us alone. `sharing` of what
/// is sealed against writes must be private: a shared mapping of it was refused before Linux 6.7, a read-only one too.
char* MapFd(int fd, int protection, int sharing, size_t& bytes) {
  struct stat st;
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fstat(fd, &st) != 0 || st.st_size <= 0) return nullptr;
  bytes = static_cast<size_t>(st.st_size);
  void* mapping = mmap(nullptr, bytes, protection, sharing, fd, 0);
  return mapping == MAP_FAILED ? nullptr : static_cast<char*>(mapping);
}

InitContext g_context; // static: fork's copy goes on with it, and the stack stays small

void ReportFailure(InitContext& ctx, uint32_t index, uint16_t kind, const Status& status, const StepReport& report) {
  Message message{};
  message.type = MessageType::kFailure;
  FillFailure(message.failure, FailureSide::kContainer, index, kind, status, &report);
  const int fd = ctx.gate.valid() ? ctx.gate.get() : ctx.sync.get();
  if (fd >= 0) (void)seqpacket::Send(fd, &message, sizeof message);
}

int Main(int argc, char** argv) {
  // Nobody in a joined namespace may trace us or open our descriptors (CVE-2016-9962).
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  prctl(PR_SET_NAME, "tsrun-init", 0, 0, 0);
  const int control_fd = argc == 2 ? ParseFd(argv[1]) : -1;
  if (control_fd < 3) Die("is run by tsrun only");
  size_t control_bytes = 0, plan_bytes = 0;
  Control* control = reinterpret_cast<Control*>(MapFd(control_fd, PROT_READ | PROT_WRITE, MAP_SHARED, control_bytes));
  if (control == nullptr || control_bytes < sizeof(Control)) Die("cannot map its control block");
  const char* plan = MapFd(control->plan_fd, PROT_READ, MAP_PRIVATE, plan_bytes);
  if (plan == nullptr) Die("cannot map its plan");
  PlanView view;
  const Status verified = VerifyPlan(plan, plan_bytes, view);
  if (!verified.ok() || view.host_steps != control->host_steps || view.container_steps != control->container_steps ||
      control_bytes < sizeof(Control) + sizeof(StepReport) * (size_t{view.host_steps} + view.container_steps) ||
      view.slots != control->slot_count)
    Die("does not understand its plan");

  InitContext& ctx = g_context;
  ctx.sync.reset(control->sync_fd);
  fcntl(ctx.sync.get(), F_SETFD, FD_CLOEXEC);
  for (uint32_t i = 0; i < view.slots; i++) {
    if (control->slots[i] < 0) continue;
    fcntl(control->slots[i], F_SETFD, FD_CLOEXEC);
    ctx.slots.at(i).reset(control->slots[i]);
  }
  close(control->plan_fd);
  close(control_fd);

  const Fault fault = control->fault;
  uint16_t kind = 0;
  Status status;
  const uint32_t index = WalkSteps(
      ctx, view.first_container, view.container_steps, control->reports + view.host_steps, FailureSide::kContainer,
      fault,
      [&] {
        if (fault.mode == FaultMode::kKillHost) {
          Message message{};
          message.type = MessageType::kFault;
          (void)seqpacket::Send(ctx.sync.get(), &message, kShortMessage);
          // The host dies; like anything else here we notice by the end of the socket.
          (void)seqpacket::Receive(ctx.sync.get(), &message, kShortMessage);
          _exit(1);
        }
        return Status::Fail(Op::kInjected, EIO);
      },
      kind, status);
  if (index < view.container_steps) ReportFailure(ctx, index, kind, status, control->reports[view.host_steps + index]);
  // A plan whose container list ends without process.exec has nothing to run.
  _exit(1);
}

} // namespace
} // namespace tsrun

int main(int argc, char** argv) {
  return tsrun::Main(argc, argv);
}
