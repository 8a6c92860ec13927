#include <seccomp.h>

#include "addon/base/memfd.h"
#include "addon/exec/host_context.h"
#include "addon/steps/seccomp_cache_host.h"
#include "addon/steps/seccomp_filter_host.h"

namespace tsrun {
namespace {

/// Counts up with every change of seccomp_filter_host.cc that changes a filter: older cache files do not count then.
constexpr uint32_t kCompilerVersion = 1;

/// Lists that fit each other, and codes that libseccomp would otherwise cut to 32 bits.
Status VerifyStep(const abi::SeccompCompile& step) {
  if (step.actions.size != step.names.size) return Status::Fail(Op::kVerify, EINVAL, "actions", step.actions.size);
  if (step.conditions.size % 5 != 0) return Status::Fail(Op::kVerify, EINVAL, "conditions", step.conditions.size);
  if (step.default_action > UINT32_MAX || step.newer_action > UINT32_MAX)
    return Status::Fail(Op::kVerify, ERANGE, "default action");
  for (uint32_t i = 0; i < step.actions.size; i++)
    if (step.actions[i] > UINT32_MAX) return Status::Fail(Op::kVerify, ERANGE, "actions", i);
  for (uint32_t i = 0; i < step.architectures.size; i++)
    if (step.architectures[i] > UINT32_MAX) return Status::Fail(Op::kVerify, ERANGE, "architectures", i);
  for (uint32_t i = 0; i < step.conditions.size; i += 5)
    if (step.conditions[i + 1] > 5 || step.conditions[i + 2] <= _SCMP_CMP_MIN ||
        step.conditions[i + 2] >= _SCMP_CMP_MAX)
      return Status::Fail(Op::kVerify, EINVAL, "conditions", i);
  return Status::Ok();
}

/// Everything that the filter depends on.
std::string CacheKey(const abi::SeccompCompile& step) {
  std::string key;
  const auto number = [&](uint64_t value) { key.append(reinterpret_cast<const char*>(&value), sizeof value); };
  const auto numbers = [&](abi::U64s list) {
    number(list.size);
    key.append(reinterpret_cast<const char*>(list.data), size_t{list.size} * sizeof *list.data);
  };
  const scmp_version* version = seccomp_version();
  number(kCompilerVersion);
  number(uint64_t{version->major} << 32 | version->minor << 16 | version->micro);
  number(seccomp_api_get()); // what libseccomp found the kernel to have
  number(seccomp_arch_native());
  number(step.default_action);
  number(step.newer_action);
  number(step.fail_unknown);
  numbers(step.architectures);
  numbers(step.actions);
  numbers(step.conditions);
  number(step.names.size);
  for (uint32_t i = 0; i < step.names.size; i++)
    key.append(step.names[i].data, step.names[i].size + 1); // with its NUL
  return key;
}

} // namespace

Status Run(HostContext& ctx, const abi::SeccompCompile& step) {
  TSRUN_TRY(VerifyStep(step));
  std::vector<sock_filter> filter;
  if (step.cache.empty()) {
    TSRUN_TRY(CompileFilter(step, filter));
  } else {
    const FilterCache cache(step.cache.data);
    const std::string key = CacheKey(step);
    if (!cache.Load(key, filter)) {
      TSRUN_TRY(CompileFilter(step, filter));
      cache.Store(key, filter);
    }
  }
  UniqueFd sealed;
  TSRUN_TRY(SealedMemfd("tsrun-seccomp", filter.data(), filter.size() * sizeof(sock_filter), sealed));
  ctx.slots.put(step.slot, std::move(sealed));
  return Status::Ok();
}

} // namespace tsrun
