// Access to devices on v2: an eBPF program that the kernel asks at every open and mknod in the cgroup.
#include "addon/steps/cgroup_devices_host.h"

#include <linux/bpf.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "addon/base/sys.h"
#include "addon/exec/host_context.h"
#include "addon/steps/cgroup_tree_host.h"

namespace tsrun {
namespace {

using namespace cgroup;

/// The kernel attaches at most so many programs to a cgroup (BPF_CGROUP_MAX_PROGS).
constexpr uint32_t kMaxPrograms = 64;
/// The kernel's bound for a program (BPF_MAXINSNS for the unprivileged is 4096; this is BPF_COMPLEXITY_LIMIT_INSNS).
constexpr size_t kMaxInstructions = 1'000'000;

int Bpf(bpf_cmd command, bpf_attr& attributes) {
  return static_cast<int>(sys::Retry([&] { return syscall(SYS_bpf, command, &attributes, sizeof attributes); }));
}

uint64_t Address(const void* pointer) {
  return reinterpret_cast<uint64_t>(pointer); // bpf_attr has addresses as u64
}

/// Before Linux 5.11 a program's memory counted against RLIMIT_MEMLOCK, and EPERM was all that was said.
class UnlimitedMemlock {
public:
  UnlimitedMemlock() {
    const rlimit unlimited = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    raised_ = getrlimit(RLIMIT_MEMLOCK, &before_) == 0 && setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0;
  }
  UnlimitedMemlock(const UnlimitedMemlock&) = delete;
  UnlimitedMemlock& operator=(const UnlimitedMemlock&) = delete;
  ~UnlimitedMemlock() {
    if (raised_) setrlimit(RLIMIT_MEMLOCK, &before_); // the container's process would inherit it
  }

private:
  rlimit before_{};
  bool raised_;
};

Status Load(abi::Bytes program, const std::string& where, UniqueFd& out) {
  const size_t count = program.size / sizeof(bpf_insn);
  if (count == 0 || count > kMaxInstructions || program.size % sizeof(bpf_insn) != 0)
    return Status::Fail(Op::kLimit, EINVAL, where.c_str(), static_cast<int64_t>(program.size), "device program");
  // The record is only as aligned as its heap.
  std::vector<bpf_insn> instructions(count);
  memcpy(instructions.data(), program.data, program.size);
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = Address(instructions.data());
  attributes.insn_cnt = static_cast<uint32_t>(count);
  attributes.license = Address("Apache-2.0"); // it calls no helper that asks for another one
  memcpy(attributes.prog_name, "tsrun_devices", sizeof "tsrun_devices");
  out.reset(Bpf(BPF_PROG_LOAD, attributes));
  if (!out.valid() && errno == EPERM) {
    const UnlimitedMemlock unlimited;
    out.reset(Bpf(BPF_PROG_LOAD, attributes));
  }
  if (out.valid()) return Status::Ok();
  const int err = errno;
  return Status::Fail(Op::kBpf, err, where.c_str(), BPF_PROG_LOAD,
                      err == EPERM ? "loading a device program needs CAP_BPF or CAP_SYS_ADMIN" : "BPF_PROG_LOAD");
}

/// The device programs that are attached to the cgroup itself.
Status Attached(int cgroup, const std::string& where, std::vector<UniqueFd>& out) {
  uint32_t ids[kMaxPrograms] = {};
  bpf_attr query{};
  query.query.target_fd = static_cast<uint32_t>(cgroup);
  query.query.attach_type = BPF_CGROUP_DEVICE;
  query.query.prog_cnt = kMaxPrograms;
  query.query.prog_ids = Address(ids);
  if (Bpf(BPF_PROG_QUERY, query) != 0)
    return Status::Fail(Op::kBpf, errno, where.c_str(), BPF_PROG_QUERY, "BPF_PROG_QUERY");
  for (uint32_t i = 0; i < query.query.prog_cnt && i < kMaxPrograms; i++) {
    bpf_attr attributes{};
    attributes.prog_id = ids[i];
    UniqueFd program(Bpf(BPF_PROG_GET_FD_BY_ID, attributes));
    if (!program.valid() && errno == ENOENT) continue; // detached meanwhile
    if (!program.valid())
      return Status::Fail(Op::kBpf, errno, where.c_str(), BPF_PROG_GET_FD_BY_ID, "BPF_PROG_GET_FD_BY_ID");
    out.push_back(std::move(program));
  }
  return Status::Ok();
}

/// Opens a v2 cgroup for bpf(2), which wants an open directory, not an O_PATH one.
Status OpenDirectory(const abi::Str& hierarchy, const abi::Str& path, const std::string& where, UniqueFd& out) {
  UniqueFd cgroup;
  int version;
  TSRUN_TRY(OpenCgroup(hierarchy, path, cgroup, &version));
  if (version != 2) return Status::Fail(Op::kVerify, EINVAL, where.c_str(), 0, "not a v2 cgroup");
  out.reset(OpenBelow(cgroup.get(), ".", O_RDONLY | O_DIRECTORY));
  if (!out.valid()) return Status::Fail(Op::kOpenat2, errno, where.c_str());
  return Status::Ok();
}

} // namespace

Status DeviceProgramTags(const std::string& hierarchy, const std::string& path, std::vector<std::string>& out) {
  const abi::Str at{hierarchy.c_str(), static_cast<uint32_t>(hierarchy.size())};
  const abi::Str below{path.c_str(), static_cast<uint32_t>(path.size())};
  const std::string where = Where(at, below);
  UniqueFd cgroup;
  TSRUN_TRY(OpenDirectory(at, below, where, cgroup));
  std::vector<UniqueFd> programs;
  TSRUN_TRY(Attached(cgroup.get(), where, programs));
  for (const UniqueFd& program : programs) {
    bpf_prog_info info{};
    bpf_attr attributes{};
    attributes.info.bpf_fd = static_cast<uint32_t>(program.get());
    attributes.info.info_len = sizeof info;
    attributes.info.info = Address(&info);
    if (Bpf(BPF_OBJ_GET_INFO_BY_FD, attributes) != 0)
      return Status::Fail(Op::kBpf, errno, where.c_str(), BPF_OBJ_GET_INFO_BY_FD, "BPF_OBJ_GET_INFO_BY_FD");
    std::string tag;
    for (const uint8_t byte : info.tag) {
      tag += "0123456789abcdef"[byte >> 4];
      tag += "0123456789abcdef"[byte & 15];
    }
    out.push_back(std::move(tag));
  }
  return Status::Ok();
}

Status Run(HostContext&, const abi::CgroupDevices& step) {
  const std::string where = Where(step.hierarchy, step.path);
  UniqueFd cgroup;
  TSRUN_TRY(OpenDirectory(step.hierarchy, step.path, where, cgroup));
  UniqueFd program;
  TSRUN_TRY(Load(step.program, where, program));
  std::vector<UniqueFd> old;
  TSRUN_TRY(Attached(cgroup.get(), where, old));

  // With several programs all of them have to allow an access, so there is no moment without a rule: one is replaced at
  // once (Linux 5.6), several are detached after ours has come to them.
  bpf_attr attach{};
  attach.target_fd = static_cast<uint32_t>(cgroup.get());
  attach.attach_bpf_fd = static_cast<uint32_t>(program.get());
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  if (old.size() == 1) {
    attach.attach_flags |= BPF_F_REPLACE;
    attach.replace_bpf_fd = static_cast<uint32_t>(old.front().get());
  }
  if (Bpf(BPF_PROG_ATTACH, attach) != 0)
    return Status::Fail(Op::kBpf, errno, where.c_str(), BPF_PROG_ATTACH, "BPF_PROG_ATTACH");
  for (size_t i = 0; old.size() > 1 && i < old.size(); i++) {
    bpf_attr detach{};
    detach.target_fd = static_cast<uint32_t>(cgroup.get());
    detach.attach_bpf_fd = static_cast<uint32_t>(old[i].get());
    detach.attach_type = BPF_CGROUP_DEVICE;
    if (Bpf(BPF_PROG_DETACH, detach) != 0 && errno != ENOENT)
      return Status::Fail(Op::kBpf, errno, where.c_str(), BPF_PROG_DETACH, "BPF_PROG_DETACH");
  }
  return Status::Ok();
}

} // namespace tsrun
