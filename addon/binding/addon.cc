// The Node-API edge: the only file that knows Node. JavaScript (src/native) checks arguments and makes messages; here
// they are checked again, and results go back as plain data. No globals: a .node file may serve several environments.
#define NAPI_VERSION 8
#define NODE_ADDON_API_DISABLE_DEPRECATED
#include <algorithm>
#include <functional>
#include <memory>
#include <napi.h>
#include <set>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "addon/base/sys.h"
#include "addon/exec/session.h"
#include "addon/extract/extraction.h"
#include "addon/steps/cgroup_devices_host.h"
#include "addon/steps/oom_watch_host.h"
#include "addon/steps/seccomp_filter_host.h"
#include "addon/steps/sysctl_read_host.h"

namespace {

using tsrun::ExitStatus;
using tsrun::Failure;
using tsrun::FailureSide;
using tsrun::Fault;
using tsrun::FaultMode;
using tsrun::Outcome;
using tsrun::Session;
using tsrun::Status;
using tsrun::StepReport;

Napi::Value TypeError(Napi::Env env, const char* what) {
  Napi::TypeError::New(env, what).ThrowAsJavaScriptException();
  return env.Undefined();
}

Napi::Object FailureObject(Napi::Env env, const Failure& failure) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("side", Napi::Number::New(env, static_cast<uint32_t>(failure.side)));
  out.Set("index", Napi::Number::New(env, failure.index));
  out.Set("kind", Napi::Number::New(env, failure.kind));
  out.Set("op", Napi::Number::New(env, failure.op));
  out.Set("errno", Napi::Number::New(env, failure.err));
  out.Set("detail", Napi::Number::New(env, static_cast<double>(failure.detail)));
  out.Set("durationMs", Napi::Number::New(env, static_cast<double>(failure.duration_ns) / 1e6));
  out.Set("path", Napi::String::New(env, failure.path));
  out.Set("text", Napi::String::New(env, failure.text));
  return out;
}

Napi::Object StatusObject(Napi::Env env, const Status& status) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("op", Napi::Number::New(env, static_cast<uint32_t>(status.op)));
  out.Set("errno", Napi::Number::New(env, status.err));
  out.Set("path", Napi::String::New(env, status.path));
  out.Set("text", Napi::String::New(env, status.text));
  return out;
}

/// Reports as they lie in memory, 24 bytes each; JavaScript decodes them only when somebody asks for a trace.
Napi::Value ReportBytes(Napi::Env env, const std::vector<StepReport>& reports) {
  static_assert(sizeof(StepReport) == 24);
  return Napi::Buffer<char>::Copy(env, reinterpret_cast<const char*>(reports.data()),
                                  reports.size() * sizeof(StepReport));
}

class SessionWrap : public Napi::ObjectWrap<SessionWrap> {
public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(
        env, "Session",
        {InstanceMethod<&SessionWrap::Execute>("execute"), InstanceMethod<&SessionWrap::Commit>("commit"),
         InstanceMethod<&SessionWrap::Rollback>("rollback"), InstanceMethod<&SessionWrap::WatchSignals>("watchSignals"),
         InstanceMethod<&SessionWrap::AdoptOrphans>("adoptOrphans"), InstanceMethod<&SessionWrap::Attach>("attach"),
         InstanceMethod<&SessionWrap::ContainerReports>("containerReports"),
         InstanceMethod<&SessionWrap::Close>("close")});
  }

  explicit SessionWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SessionWrap>(info) {
    if (info.Length() != 1 || !info[0].IsString()) {
      TypeError(info.Env(), "Session: path of tsrun-init");
      return;
    }
    session_ = std::make_unique<Session>(info[0].As<Napi::String>().Utf8Value());
  }

private:
  Napi::Value Closed(Napi::Env env) { return TypeError(env, "this session is closed"); }

  /// execute(plan: Uint8Array, faultMode, faultSide, faultIndex)
  Napi::Value Execute(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!session_) return Closed(env);
    if (info.Length() != 4 || !info[0].IsTypedArray() ||
        info[0].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array || !info[1].IsNumber() ||
        !info[2].IsNumber() || !info[3].IsNumber())
      return TypeError(env, "execute: plan, fault");
    const Napi::Uint8Array plan = info[0].As<Napi::Uint8Array>();
    // A copy of our own, aligned: JavaScript cannot change it while it is verified and run.
    std::vector<uint64_t> copy((plan.ByteLength() + 7) / 8);
    memcpy(copy.data(), plan.Data(), plan.ByteLength());
    const uint32_t mode = info[1].As<Napi::Number>().Uint32Value();
    const Fault fault = {.mode = mode <= 2 ? static_cast<FaultMode>(mode) : FaultMode::kNone,
                         .side = info[2].As<Napi::Number>().Uint32Value() == 0 ? FailureSide::kHost
                                                                               : FailureSide::kContainer,
                         .index = info[3].As<Napi::Number>().Uint32Value()};
    const Outcome outcome = session_->Execute(reinterpret_cast<const char*>(copy.data()), plan.ByteLength(), fault);
    Napi::Object out = Napi::Object::New(env);
    if (outcome.failed) out.Set("failure", FailureObject(env, outcome.failure));
    if (outcome.pid > 0) out.Set("pid", Napi::Number::New(env, outcome.pid));
    out.Set("host", ReportBytes(env, outcome.host));
    out.Set("container", ReportBytes(env, outcome.container));
    return out;
  }

  Napi::Value Result(Napi::Env env, const Status& status) {
    if (status.ok()) return env.Undefined();
    return StatusObject(env, status);
  }

  Napi::Value Commit(const Napi::CallbackInfo& info) {
    if (!session_) return Closed(info.Env());
    return Result(info.Env(), session_->Commit());
  }
  Napi::Value Rollback(const Napi::CallbackInfo& info) {
    if (!session_) return Closed(info.Env());
    session_->Rollback();
    return info.Env().Undefined();
  }
  Napi::Value WatchSignals(const Napi::CallbackInfo& info) {
    if (!session_) return Closed(info.Env());
    return Result(info.Env(), session_->WatchSignals());
  }
  Napi::Value AdoptOrphans(const Napi::CallbackInfo& info) {
    if (!session_) return Closed(info.Env());
    return Result(info.Env(), session_->AdoptOrphans());
  }
  /// attach(notifyAddress)
  Napi::Value Attach(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!session_) return Closed(env);
    if (info.Length() != 1 || !info[0].IsString()) return TypeError(env, "attach: address");
    ExitStatus exit;
    Status notified;
    const Status status = session_->Attach(info[0].As<Napi::String>().Utf8Value(), exit, notified);
    if (!status.ok()) return StatusObject(env, status);
    Napi::Object out = Napi::Object::New(env);
    if (!notified.ok()) out.Set("notify", StatusObject(env, notified));
    out.Set("killed", Napi::Boolean::New(env, exit.killed));
    out.Set("value", Napi::Number::New(env, exit.value));
    return out;
  }
  Napi::Value ContainerReports(const Napi::CallbackInfo& info) {
    if (!session_) return Closed(info.Env());
    return ReportBytes(info.Env(), session_->ContainerReports());
  }
  Napi::Value Close(const Napi::CallbackInfo& info) {
    session_.reset();
    return info.Env().Undefined();
  }

  std::unique_ptr<Session> session_;
};

/// OomWatch(pid, startTime: bigint, hierarchy, path); next(timeoutMs) gives 0 (time is up), 1 (oom) or 2 (the end).
class OomWatchWrap : public Napi::ObjectWrap<OomWatchWrap> {
public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "OomWatch",
                       {InstanceMethod<&OomWatchWrap::Open>("open"), InstanceMethod<&OomWatchWrap::Next>("next"),
                        InstanceMethod<&OomWatchWrap::Close>("close")});
  }

  explicit OomWatchWrap(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<OomWatchWrap>(info), watch_(std::make_unique<tsrun::OomWatch>()) {}

private:
  /// open(pid, startTime: bigint, hierarchy, path)
  Napi::Value Open(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!watch_) return TypeError(env, "this watch is closed");
    if (info.Length() != 4 || !info[0].IsNumber() || !info[1].IsBigInt() || !info[2].IsString() || !info[3].IsString())
      return TypeError(env, "open: pid, start time, hierarchy, path");
    bool lossless = false;
    const uint64_t start_time = info[1].As<Napi::BigInt>().Uint64Value(&lossless);
    if (!lossless) return TypeError(env, "open: start time");
    const Status status = watch_->Open(info[0].As<Napi::Number>().Uint32Value(), start_time,
                                       info[2].As<Napi::String>().Utf8Value(), info[3].As<Napi::String>().Utf8Value());
    if (status.ok()) return env.Undefined();
    return StatusObject(env, status);
  }
  Napi::Value Next(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!watch_) return TypeError(env, "this watch is closed");
    if (info.Length() != 1 || !info[0].IsNumber()) return TypeError(env, "next: timeout");
    tsrun::OomWatch::Event event;
    const Status status = watch_->Next(info[0].As<Napi::Number>().Int32Value(), event);
    if (!status.ok()) return StatusObject(env, status);
    return Napi::Number::New(env, static_cast<int>(event));
  }
  Napi::Value Close(const Napi::CallbackInfo& info) {
    watch_.reset();
    return info.Env().Undefined();
  }

  std::unique_ptr<tsrun::OomWatch> watch_;
};

/// One call of an Extraction on a thread of libuv's pool; a promise of undefined or of a status.
class ExtractionWork : public Napi::AsyncWorker {
public:
  using Call = std::function<Status(tsrun::extract::Extraction&)>;

  ExtractionWork(Napi::Env env, std::shared_ptr<tsrun::extract::Extraction> extraction, Call call)
      : Napi::AsyncWorker(env), extraction_(std::move(extraction)), call_(std::move(call)),
        deferred_(Napi::Promise::Deferred::New(env)) {}

  /// Keeps a buffer that the call reads from being collected.
  void Hold(const Napi::Object& buffer) { held_.push_back(Napi::Persistent(buffer)); }
  [[nodiscard]] Napi::Promise Promise() const { return deferred_.Promise(); }

protected:
  void Execute() override { status_ = call_(*extraction_); }
  void OnOK() override { deferred_.Resolve(status_.ok() ? Env().Undefined() : StatusObject(Env(), status_)); }

private:
  std::shared_ptr<tsrun::extract::Extraction> extraction_;
  Call call_;
  Status status_;
  std::vector<Napi::ObjectReference> held_;
  Napi::Promise::Deferred deferred_;
};

/// Extraction(owners, uid, gid, opaqueAttributes, layers); the caller waits for a promise before the next call.
class ExtractionWrap : public Napi::ObjectWrap<ExtractionWrap> {
public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(
        env, "Extraction",
        {InstanceMethod<&ExtractionWrap::Open>("open"), InstanceMethod<&ExtractionWrap::Apply>("apply"),
         InstanceMethod<&ExtractionWrap::Finish>("finish"), InstanceMethod<&ExtractionWrap::Untold>("untold"),
         InstanceMethod<&ExtractionWrap::Inherit>("inherit"), InstanceMethod<&ExtractionWrap::Deliver>("deliver"),
         InstanceMethod<&ExtractionWrap::Discard>("discard"),
         InstanceMethod<&ExtractionWrap::LostAttributes>("lostAttributes")});
  }

  explicit ExtractionWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ExtractionWrap>(info) {
    if (info.Length() != 5 || !info[0].IsBoolean() || !info[1].IsNumber() || !info[2].IsNumber() ||
        !info[3].IsArray() || !info[4].IsBoolean()) {
      TypeError(info.Env(), "Extraction: owners, uid, gid, opaque attributes, layers");
      return;
    }
    std::vector<std::string> opaque;
    const auto names = info[3].As<Napi::Array>();
    for (uint32_t i = 0; i < names.Length(); i++)
      opaque.push_back(names.Get(i).ToString().Utf8Value());
    extraction_ = std::make_shared<tsrun::extract::Extraction>(
        tsrun::extract::Options{.owners = info[0].As<Napi::Boolean>().Value(),
                                .uid = info[1].As<Napi::Number>().Uint32Value(),
                                .gid = info[2].As<Napi::Number>().Uint32Value(),
                                .opaque_attributes = std::move(opaque),
                                .layers = info[4].As<Napi::Boolean>().Value()});
  }

private:
  Napi::Value Closed(Napi::Env env) { return TypeError(env, "this extraction is closed"); }
  static Napi::Value Result(Napi::Env env, const Status& status) {
    if (status.ok()) return env.Undefined();
    return StatusObject(env, status);
  }

  static bool IsBytes(const Napi::Value& value) {
    return value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array;
  }

  Napi::Value Open(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!extraction_) return Closed(env);
    if (info.Length() != 2 || !info[0].IsString() || !info[1].IsString()) return TypeError(env, "open: parent, name");
    return Result(env,
                  extraction_->Open(info[0].As<Napi::String>().Utf8Value(), info[1].As<Napi::String>().Utf8Value()));
  }
  /// apply(records: Uint8Array, data: Uint8Array); neither is to be changed before the promise is settled.
  Napi::Value Apply(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!extraction_) return Closed(env);
    if (info.Length() != 2 || !IsBytes(info[0]) || !IsBytes(info[1])) return TypeError(env, "apply: records, data");
    const auto records = info[0].As<Napi::Uint8Array>();
    const auto data = info[1].As<Napi::Uint8Array>();
    // Held by the work until it is done, so the pointers stay valid.
    const uint8_t* records_at = records.Data();
    const uint8_t* data_at = data.Data();
    auto* work = new ExtractionWork(env, extraction_,
                                    [=, records_size = records.ByteLength(),
                                     data_size = data.ByteLength()](tsrun::extract::Extraction& extraction) {
                                      return extraction.Apply(records_at, records_size, data_at, data_size);
                                    }); // deletes itself when it is done
    work->Hold(records);
    work->Hold(data);
    const Napi::Promise promise = work->Promise();
    work->Queue();
    return promise;
  }
  Napi::Value Finish(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!extraction_) return Closed(env);
    if (info.Length() != 1 || !info[0].IsBoolean()) return TypeError(env, "finish: sync");
    const bool sync = info[0].As<Napi::Boolean>().Value();
    auto* work = new ExtractionWork(env, extraction_, [sync](tsrun::extract::Extraction& extraction) {
      return extraction.Finish(sync);
    }); // deletes itself when it is done
    const Napi::Promise promise = work->Promise();
    work->Queue();
    return promise;
  }
  /// untold(): paths, each with a NUL behind it.
  Napi::Value Untold(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!extraction_) return Closed(env);
    std::string all;
    for (const std::string& path : extraction_->untold())
      all.append(path).push_back('\0');
    return Napi::Buffer<char>::Copy(env, all.data(), all.size());
  }
  /// inherit(directories, untold): of the layers from the lowest on, where they are and what `untold` gave of each;
  /// gives how many directories it has made.
  Napi::Value Inherit(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!extraction_) return Closed(env);
    if (info.Length() != 2 || !info[0].IsArray() || !info[1].IsArray())
      return TypeError(env, "inherit: directories, untold");
    const auto directories = info[0].As<Napi::Array>();
    const auto untold = info[1].As<Napi::Array>();
    tsrun::extract::LowerLayers layers;
    std::set<std::string> paths;
    for (uint32_t i = 0; i < directories.Length(); i++) {
      const Napi::Value listed = untold.Get(i);
      if (!directories.Get(i).IsString() || !IsBytes(listed)) return TypeError(env, "inherit: directories, untold");
      const auto bytes = listed.As<Napi::Uint8Array>();
      std::unordered_set<std::string> own;
      const auto* at = reinterpret_cast<const char*>(bytes.Data()); // bytes as they are
      const auto* end = at + bytes.ByteLength();
      for (const char* nul = at; (nul = std::find(at, end, '\0')) != end; at = nul + 1)
        own.emplace(at, nul);
      paths.insert(own.begin(), own.end());
      const Status status = layers.Add(directories.Get(i).As<Napi::String>().Utf8Value(), std::move(own));
      if (!status.ok()) return StatusObject(env, status);
    }
    uint64_t made = 0;
    const Status status = extraction_->Inherit(layers, {paths.begin(), paths.end()}, made);
    if (!status.ok()) return StatusObject(env, status);
    return Napi::Number::New(env, static_cast<double>(made));
  }
  Napi::Value Deliver(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!extraction_) return Closed(env);
    if (info.Length() != 2 || !info[0].IsString() || !info[1].IsString())
      return TypeError(env, "deliver: directory, name");
    return Result(env,
                  extraction_->Deliver(info[0].As<Napi::String>().Utf8Value(), info[1].As<Napi::String>().Utf8Value()));
  }
  Napi::Value Discard(const Napi::CallbackInfo& info) {
    if (!extraction_) return Closed(info.Env());
    const Status status = extraction_->Discard();
    extraction_.reset();
    return Result(info.Env(), status);
  }
  Napi::Value LostAttributes(const Napi::CallbackInfo& info) {
    if (!extraction_) return Closed(info.Env());
    return Napi::Number::New(info.Env(), static_cast<double>(extraction_->lost_attributes()));
  }
  std::shared_ptr<tsrun::extract::Extraction> extraction_;
};

/// removeTree(directory, name): removes what has the name in the directory, however deep.
Napi::Value RemoveTree(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() != 2 || !info[0].IsString() || !info[1].IsString())
    return TypeError(env, "removeTree: directory, name");
  const std::string directory = info[0].As<Napi::String>().Utf8Value();
  tsrun::UniqueFd parent(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Status status = parent.valid()
                      ? tsrun::extract::RemoveTree(parent.get(), info[1].As<Napi::String>().Utf8Value().c_str())
                      : Status::Fail(tsrun::Op::kOpen, errno, directory.c_str());
  if (status.ok()) return env.Undefined();
  return StatusObject(env, status);
}

/// lock(path, mode): opens (making it, 0600) and locks a file; returns the descriptor, or -errno. mode: 0 shared,
/// 1 exclusive, 2 exclusive without waiting.
Napi::Value Lock(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() != 2 || !info[0].IsString() || !info[1].IsNumber()) return TypeError(env, "lock: path, mode");
  const std::string path = info[0].As<Napi::String>().Utf8Value();
  const uint32_t mode = info[1].As<Napi::Number>().Uint32Value();
  tsrun::UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return Napi::Number::New(env, -errno);
  const int operation = mode == 0 ? LOCK_SH : mode == 1 ? LOCK_EX : LOCK_EX | LOCK_NB;
  if (tsrun::sys::Retry([&] { return flock(fd.get(), operation); }) != 0) return Napi::Number::New(env, -errno);
  return Napi::Number::New(env, fd.release());
}

/// attribute(path, name): the text of an extended attribute; of a symbolic link its own. -errno without one.
Napi::Value Attribute(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() != 2 || !info[0].IsString() || !info[1].IsString()) return TypeError(env, "attribute: path, name");
  const std::string path = info[0].As<Napi::String>().Utf8Value();
  const std::string name = info[1].As<Napi::String>().Utf8Value();
  char text[256];
  const ssize_t size = lgetxattr(path.c_str(), name.c_str(), text, sizeof text);
  if (size < 0) return Napi::Number::New(env, -errno);
  return Napi::String::New(env, text, static_cast<size_t>(size));
}

/// knowsArchitecture(number): whether libseccomp knows this SCMP_ARCH_*.
Napi::Value KnowsArchitecture(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() != 1 || !info[0].IsNumber()) return TypeError(env, "knowsArchitecture: number");
  return Napi::Boolean::New(env, tsrun::KnowsArchitecture(info[0].As<Napi::Number>().Uint32Value()));
}

/// terminalSize(): [rows, columns] of the first standard stream that is a terminal, undefined without one.
Napi::Value TerminalSize(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  for (int fd = 0; fd < 3; fd++) {
    winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0) continue;
    Napi::Array out = Napi::Array::New(env, 2);
    out.Set(0u, Napi::Number::New(env, size.ws_row));
    out.Set(1u, Napi::Number::New(env, size.ws_col));
    return out;
  }
  return env.Undefined();
}

/// exit(status): ends the process without a clean-up of Node's or ours. What holds resources beyond the process has
/// been closed, and output is written synchronously, so there is nothing left to do but to free memory, which the
/// kernel does faster. A millisecond or two of every command.
void Exit(const Napi::CallbackInfo& info) {
  if (info.Length() != 1 || !info[0].IsNumber()) {
    TypeError(info.Env(), "exit: status");
    return;
  }
  _exit(info[0].As<Napi::Number>().Int32Value());
}

/// readSysctls(namespaces: number[], files: string[]): for each file its text or, as a number, its errno; a status when
/// a namespace cannot be entered.
Napi::Value ReadSysctls(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() != 2 || !info[0].IsArray() || !info[1].IsArray())
    return TypeError(env, "readSysctls: namespaces, files");
  const Napi::Array fds = info[0].As<Napi::Array>(), names = info[1].As<Napi::Array>();
  std::vector<int> namespaces;
  for (uint32_t i = 0; i < fds.Length(); i++) {
    const Napi::Value fd = fds.Get(i);
    if (!fd.IsNumber()) return TypeError(env, "readSysctls: namespaces");
    namespaces.push_back(fd.As<Napi::Number>().Int32Value());
  }
  std::vector<std::string> files;
  for (uint32_t i = 0; i < names.Length(); i++) {
    const Napi::Value name = names.Get(i);
    if (!name.IsString()) return TypeError(env, "readSysctls: files");
    files.push_back(name.As<Napi::String>().Utf8Value());
  }
  std::vector<tsrun::SysctlValue> values;
  const Status status = tsrun::ReadSysctls(namespaces, files, values);
  if (!status.ok()) return StatusObject(env, status);
  Napi::Array out = Napi::Array::New(env, values.size());
  for (uint32_t i = 0; i < values.size(); i++)
    out.Set(i, values[i].err != 0 ? Napi::Value(Napi::Number::New(env, values[i].err))
                                  : Napi::Value(Napi::String::New(env, values[i].text)));
  return out;
}

/// deviceProgramTags(hierarchy, path): a list of texts, or a status.
Napi::Value DeviceProgramTags(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() != 2 || !info[0].IsString() || !info[1].IsString())
    return TypeError(env, "deviceProgramTags: hierarchy, path");
  std::vector<std::string> tags;
  const Status status =
      tsrun::DeviceProgramTags(info[0].As<Napi::String>().Utf8Value(), info[1].As<Napi::String>().Utf8Value(), tags);
  if (!status.ok()) return StatusObject(env, status);
  Napi::Array out = Napi::Array::New(env, tags.size());
  for (uint32_t i = 0; i < tags.size(); i++)
    out.Set(i, Napi::String::New(env, tags[i]));
  return out;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("Session", SessionWrap::Define(env));
  exports.Set("OomWatch", OomWatchWrap::Define(env));
  exports.Set("Extraction", ExtractionWrap::Define(env));
  exports.Set("removeTree", Napi::Function::New<RemoveTree>(env));
  exports.Set("lock", Napi::Function::New<Lock>(env));
  exports.Set("deviceProgramTags", Napi::Function::New<DeviceProgramTags>(env));
  exports.Set("readSysctls", Napi::Function::New<ReadSysctls>(env));
  exports.Set("attribute", Napi::Function::New<Attribute>(env));
  exports.Set("terminalSize", Napi::Function::New<TerminalSize>(env));
  exports.Set("exit", Napi::Function::New<Exit>(env));
  exports.Set("knowsArchitecture", Napi::Function::New<KnowsArchitecture>(env));
  exports.Set("libseccompVersion", Napi::String::New(env, tsrun::LibseccompVersion()));
  exports.Set("vocabularyHash", Napi::Number::New(env, tsrun::abi::kVocabularyHash));
  return exports;
}

} // namespace

NODE_API_MODULE(tsrun, Init)
