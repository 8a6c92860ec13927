// Units of systemd (org.freedesktop.systemd1(5)): calls that the plan carries, made over D-Bus. systemd starts and
// stops units in jobs; the answer to a call names the job, and a signal says how it ended.
#include <csignal>

#include "addon/base/sys.h"
#include "addon/exec/host_context.h"
#include "addon/exec/walk.h"
#include "addon/steps/dbus_host.h"

namespace tsrun {
namespace {

constexpr char kNoSuchUnit[] = "org.freedesktop.systemd1.NoSuchUnit";
/// Jobs of others that end between our call and its answer: over this many, something else is wrong.
constexpr size_t kMaxEnded = 4096;

/// Who is asked. A copy: undo outlives the plan.
struct Manager {
  std::vector<std::string> managers, buses;
  std::string greeting, unit;
  uint64_t timeout_ms;

  template <typename Step>
  explicit Manager(const Step& step)
      : greeting(reinterpret_cast<const char*>(step.greeting.data), step.greeting.size), // bytes of the verified plan
        unit(step.unit.data), timeout_ms(step.timeout_ms) {
    for (uint32_t i = 0; i < step.managers.size; i++)
      managers.emplace_back(step.managers[i].data);
    for (uint32_t i = 0; i < step.buses.size; i++)
      buses.emplace_back(step.buses[i].data);
  }
};

std::string TextOf(abi::Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data), bytes.size}; // bytes of the verified plan
}

enum class Until { kAnswer, kJobDone };

/// What systemd answered, if not what was hoped for.
struct Refusal {
  std::string name; // of the error; empty if there was none
};

/// Connects to the first who is there; `out` then is open and greeted.
Status Connect(const Manager& manager, dbus::Connection& out) {
  Status status = Status::Fail(Op::kConnect, ENOENT, "", 0, "no socket is known");
  for (const std::string& socket : manager.managers) {
    status = out.Open(socket);
    if (status.ok()) return status;
  }
  for (const std::string& socket : manager.buses) {
    status = out.Open(socket);
    if (status.ok()) return out.Send(manager.greeting);
  }
  return status;
}

/// A job of this path has ended, as this sender says.
struct Ended {
  std::string path, sender, result;
};

Status Call(const Manager& manager, const std::string& calls, Until until, Refusal& refusal) {
  const uint32_t last = dbus::LastSerial(calls);
  const char* unit = manager.unit.c_str();
  if (last == 0) return Status::Fail(Op::kVerify, EINVAL, unit, 0, "the calls are no D-Bus messages");
  dbus::Connection bus(manager.unit, MonotonicNs() + manager.timeout_ms * 1'000'000);
  std::string job, sender;
  const auto told = [&](Status status) {
    if (status.op != Op::kPoll || status.err != ETIMEDOUT) return status;
    return Status::Fail(Op::kTimeout, ETIMEDOUT, unit, static_cast<int64_t>(manager.timeout_ms),
                        job.empty() ? "systemd does not answer" : "systemd has not finished the job");
  };
  TSRUN_TRY(told(Connect(manager, bus)));
  TSRUN_TRY(told(bus.Send(calls)));
  std::vector<Ended> ended;
  for (dbus::Message message;;) {
    TSRUN_TRY(told(bus.Receive(message)));
    if (message.type == dbus::Type::kError && message.reply_serial != 0 && message.reply_serial <= last) {
      refusal.name = message.error;
      return Status::Fail(Op::kSystemd, 0, unit, 0, (message.error + ": " + message.text(0)).c_str());
    }
    if (message.type == dbus::Type::kReturn && message.reply_serial == last) {
      if (until == Until::kAnswer) return Status::Ok();
      job = message.text(0);
      sender = message.sender;
      if (job.empty()) return Status::Fail(Op::kVerify, EPROTO, unit, 0, "systemd's answer names no job");
    }
    // Job, path, unit, result.
    if (message.type == dbus::Type::kSignal && message.member == "JobRemoved" &&
        message.interface == "org.freedesktop.systemd1.Manager") {
      if (ended.size() >= kMaxEnded) return Status::Fail(Op::kLimit, EMSGSIZE, unit, kMaxEnded);
      ended.push_back({message.text(1), message.sender, message.text(3)});
    }
    if (job.empty()) continue;
    // On a bus anybody may send such a signal: the one who answered us is meant.
    for (const Ended& each : ended)
      if (each.path == job && each.sender == sender)
        return each.result == "done"
                   ? Status::Ok()
                   : Status::Fail(Op::kSystemd, 0, unit, 0, ("the job ended with \"" + each.result + "\"").c_str());
    ended.clear();
  }
}

} // namespace

Status Run(HostContext& ctx, const abi::SystemdStartUnit& step) {
  const Manager manager(step);
  std::string call = TextOf(step.call);
  if (step.pid_at != 0) {
    const auto pid = static_cast<uint32_t>(ctx.pid);
    if (ctx.pid <= 0) return Status::Fail(Op::kVerify, ESRCH, step.unit.data, 0, "no process was spawned");
    if (step.pid_at > call.size() || call.size() - step.pid_at < sizeof pid)
      return Status::Fail(Op::kVerify, EINVAL, step.unit.data, 0, "the pid's place is outside of the call");
    memcpy(call.data() + step.pid_at, &pid, sizeof pid);
  }
  Refusal refusal;
  const Status status = Call(manager, call, Until::kJobDone, refusal);
  // Refused, it has made nothing, and a unit of this name is another's.
  if (refusal.name.empty())
    ctx.undo.emplace_back([&ctx, manager, stop = TextOf(step.stop)] {
      // systemd would ask it kindly, which the first process of a pid namespace does not hear.
      if (ctx.pidfd.valid()) sys::PidfdSendSignal(ctx.pidfd.get(), SIGKILL);
      Refusal ignored;
      (void)Call(manager, stop, Until::kJobDone, ignored);
    });
  return status;
}

Status Run(HostContext& ctx, const abi::SystemdSetProperties& step) {
  const Manager manager(step);
  Refusal refusal;
  const Status status = Call(manager, TextOf(step.calls), Until::kAnswer, refusal);
  if (refusal.name.empty())
    ctx.undo.emplace_back([manager, undo = TextOf(step.undo)] {
      Refusal ignored;
      (void)Call(manager, undo, Until::kAnswer, ignored);
    });
  return status;
}

Status Run(HostContext&, const abi::SystemdStopUnit& step) {
  Refusal refusal;
  Status status = Call(Manager(step), TextOf(step.call), Until::kJobDone, refusal);
  if (refusal.name == kNoSuchUnit) return Status::Ok();
  // With the manager (of a user who has logged out) its units have ended.
  if (status.op == Op::kConnect && (status.err == ENOENT || status.err == ECONNREFUSED)) return Status::Ok();
  return status;
}

} // namespace tsrun
