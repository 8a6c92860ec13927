#include "addon/steps/seccomp_filter_host.h"

#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <memory>

#include "addon/base/memfd.h"

namespace tsrun {
namespace {

struct Release {
  void operator()(void* filter) const { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, Release>;

/// libseccomp returns negative errno values.
Status LibseccompFailed(int result, const char* what, int64_t detail = 0) {
  return Status::Fail(Op::kLibseccomp, -result, what, detail);
}

constexpr uint32_t kX32Bit = 0x4000'0000;
/// cacheflush, set_tls and others of 32-bit ARM have numbers of their own far above the table.
constexpr uint32_t kArmPrivate = 0xf'0000;

/// The highest system call number of one architecture that the profile names; false if it names none.
bool HighestNumber(uint32_t arch, abi::Strs names, uint32_t& highest) {
  bool found = false;
  for (uint32_t i = 0; i < names.size; i++) {
    int number = seccomp_syscall_resolve_name_arch(arch, names[i].data);
    if (arch == SCMP_ARCH_X86) {
      // Sockets and SysV IPC have numbers of their own beside socketcall and ipc (Linux 4.3 and 5.1). For these names
      // libseccomp makes rules for both, but tells a pseudo number.
      constexpr int kShutdown = 373, kMsgctl = 402;
      if (number <= -101 && number > -200) number = kShutdown;
      if (number <= -201 && number > -300) number = kMsgctl;
    }
    if (number < 0) continue; // unknown, or not on this architecture
    if (arch == SCMP_ARCH_ARM && static_cast<uint32_t>(number) >= kArmPrivate) continue;
    highest = found ? std::max(highest, static_cast<uint32_t>(number)) : static_cast<uint32_t>(number);
    found = true;
  }
  return found;
}

sock_filter Load(size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset));
}
sock_filter Jump(uint16_t test, uint32_t value, uint8_t if_true, uint8_t if_false) {
  return BPF_JUMP(static_cast<uint16_t>(BPF_JMP | test | BPF_K), value, if_true, if_false);
}
sock_filter Return(uint32_t action) {
  return BPF_STMT(BPF_RET | BPF_K, action);
}

/// What goes before libseccomp's program: system calls that are newer than the profile get `newer_action`, so that C
/// libraries, which try a new call and fall back on ENOSYS, do not take the default action's errno for an answer.
///
///     per architecture:  arch is another one?  → next
///                        number (of x86_64 or of x32) > highest?  → return newer_action
///                        → libseccomp's program
void PrependNewer(const abi::SeccompCompile& step, const std::vector<uint32_t>& arches,
                  std::vector<sock_filter>& program) {
  const auto newer = static_cast<uint32_t>(step.newer_action);
  std::vector<std::vector<sock_filter>> sections;
  size_t size = 1;
  for (uint32_t arch : arches) {
    if (arch == SCMP_ARCH_X32) continue; // shares the kernel's number with x86_64 and is told by a bit
    uint32_t highest = 0;
    const bool known = HighestNumber(arch, step.names, highest);
    uint32_t x32_highest = 0;
    const bool x32_known = arch == SCMP_ARCH_X86_64 && std::ranges::find(arches, SCMP_ARCH_X32) != arches.end() &&
                           HighestNumber(SCMP_ARCH_X32, step.names, x32_highest);
    if (!known && !x32_known) continue;

    std::vector<sock_filter> body = {Load(offsetof(seccomp_data, nr))};
    if (arch == SCMP_ARCH_X86_64) {
      // The numbers of x32 all lie above those of x86_64. Without a limit they go on to libseccomp's program, which
      // kills unless the profile has x32.
      if (known) {
        body.push_back(Jump(BPF_JSET, kX32Bit, 2, 0));
        body.push_back(Jump(BPF_JGT, highest, 0, 1));
        body.push_back(Return(newer));
      }
      if (x32_known) {
        body.push_back(Jump(BPF_JGT, x32_highest, 0, 1));
        body.push_back(Return(newer));
      }
    } else {
      if (arch == SCMP_ARCH_ARM) body.push_back(Jump(BPF_JGE, kArmPrivate, 2, 0));
      body.push_back(Jump(BPF_JGT, highest, 0, 1));
      body.push_back(Return(newer));
    }
    std::vector<sock_filter> section = {Jump(BPF_JEQ, arch, 0, static_cast<uint8_t>(body.size() + 1))};
    section.insert(section.end(), body.begin(), body.end());
    section.push_back({BPF_JMP | BPF_JA, 0, 0, 0}); // to the end; set below
    size += section.size();
    sections.push_back(std::move(section));
  }
  if (sections.empty()) return;

  std::vector<sock_filter> prefix = {Load(offsetof(seccomp_data, arch))};
  for (std::vector<sock_filter>& section : sections) {
    section.back().k = static_cast<uint32_t>(size - prefix.size() - section.size());
    prefix.insert(prefix.end(), section.begin(), section.end());
  }
  program.insert(program.begin(), prefix.begin(), prefix.end());
}

Status AddArchitectures(scmp_filter_ctx filter, const abi::SeccompCompile& step, std::vector<uint32_t>& arches) {
  arches.push_back(seccomp_arch_native()); // a new filter has it
  for (uint32_t i = 0; i < step.architectures.size; i++) {
    const auto arch = static_cast<uint32_t>(step.architectures[i]);
    const int result = seccomp_arch_add(filter, arch);
    if (result == -EEXIST) continue;
    if (result != 0) return LibseccompFailed(result, "seccomp_arch_add", static_cast<int64_t>(arch));
    arches.push_back(arch);
  }
  return Status::Ok();
}

Status AddRules(scmp_filter_ctx filter, const abi::SeccompCompile& step) {
  constexpr uint32_t kFields = 5; // rule, argument, operator, value, second value
  uint32_t at = 0, added = 0;
  for (uint32_t i = 0; i < step.names.size; i++) {
    scmp_arg_cmp conditions[6];
    uint32_t count = 0;
    for (; at < step.conditions.size && step.conditions[at] == i; at += kFields) {
      if (count == 6) return Status::Fail(Op::kVerify, EINVAL, step.names[i].data, 0, "conditions");
      conditions[count++] = {.arg = static_cast<unsigned>(step.conditions[at + 1]),
                             .op = static_cast<scmp_compare>(step.conditions[at + 2]),
                             .datum_a = step.conditions[at + 3],
                             .datum_b = step.conditions[at + 4]};
    }
    const abi::Str name = step.names[i];
    const auto action = static_cast<uint32_t>(step.actions[i]);
    if (action == step.default_action) continue; // it says nothing, and libseccomp refuses it
    const int number = seccomp_syscall_resolve_name(name.data);
    if (number == __NR_SCMP_ERROR) {
      // Profiles list system calls of every kernel; what libseccomp does not know yet is answered by newer_action.
      if (!step.fail_unknown) continue;
      return Status::Fail(Op::kLibseccomp, ENOSYS, name.data, 0, "unknown system call");
    }
    const int result = seccomp_rule_add_array(filter, action, number, count, conditions);
    if (result != 0) return LibseccompFailed(result, name.data);
    added++;
  }
  if (at != step.conditions.size) return Status::Fail(Op::kVerify, EINVAL, "conditions", at);
  // A binary tree over the numbers instead of a chain of comparisons. Not for few: libseccomp 2.5 fails without rules.
  constexpr uint32_t kManyRules = 32, kBinaryTree = 2;
  if (added > kManyRules) {
    const int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, kBinaryTree);
    if (result != 0) return LibseccompFailed(result, "SCMP_FLTATR_CTL_OPTIMIZE");
  }
  return Status::Ok();
}

Status Export(scmp_filter_ctx filter, std::vector<sock_filter>& program) {
  UniqueFd file; // libseccomp 2.5 exports to a descriptor only
  TSRUN_TRY(DataMemfd("tsrun-seccomp", file));
  const int result = seccomp_export_bpf(filter, file.get());
  if (result != 0) return LibseccompFailed(result, "seccomp_export_bpf");
  struct stat st;
  if (fstat(file.get(), &st) != 0) return Status::Fail(Op::kFstat, errno, "exported filter");
  const auto bytes = static_cast<size_t>(st.st_size);
  if (bytes == 0 || bytes % sizeof(sock_filter) != 0)
    return Status::Fail(Op::kVerify, EINVAL, "exported filter", st.st_size);
  program.resize(bytes / sizeof(sock_filter));
  const ssize_t got = sys::Retry([&] { return pread(file.get(), program.data(), bytes, 0); });
  if (got < 0) return Status::Fail(Op::kRead, errno, "exported filter");
  if (static_cast<size_t>(got) != bytes) return Status::Fail(Op::kRead, EIO, "exported filter");
  return Status::Ok();
}

} // namespace

std::string LibseccompVersion() {
  const scmp_version* version = seccomp_version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." + std::to_string(version->micro);
}

bool KnowsArchitecture(uint32_t arch) {
  const Filter rules(seccomp_init(SCMP_ACT_ALLOW));
  return rules && seccomp_arch_add(rules.get(), arch) != -EINVAL; // -EDOM: of the other byte order
}

Status CompileFilter(const abi::SeccompCompile& step, std::vector<sock_filter>& filter) {
  const Filter rules(seccomp_init(static_cast<uint32_t>(step.default_action)));
  if (!rules) return Status::Fail(Op::kLibseccomp, EINVAL, "seccomp_init", static_cast<int64_t>(step.default_action));
  std::vector<uint32_t> arches;
  TSRUN_TRY(AddArchitectures(rules.get(), step, arches));
  TSRUN_TRY(AddRules(rules.get(), step));
  TSRUN_TRY(Export(rules.get(), filter));
  if (step.newer_action != step.default_action) PrependNewer(step, arches, filter);
  if (filter.size() > BPF_MAXINSNS)
    return Status::Fail(Op::kLimit, E2BIG, "instructions of the filter", static_cast<int64_t>(filter.size()));
  return Status::Ok();
}

} // namespace tsrun
