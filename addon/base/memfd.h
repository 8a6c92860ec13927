#pragma once
#include <fcntl.h>
#include <sys/mman.h>

#include "addon/base/status.h"
#include "addon/base/sys.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace tsrun {

/// A memfd for data, which nobody can execute (MFD_NOEXEC_SEAL, Linux 6.3; before, without the seal).
inline Status DataMemfd(const char* name, UniqueFd& out) {
  out.reset(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL));
  if (!out.valid() && errno == EINVAL) out.reset(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!out.valid()) return Status::Fail(Op::kMemfdCreate, errno, name);
  return Status::Ok();
}

/// A memfd with these bytes that nobody can change any more.
inline Status SealedMemfd(const char* name, const void* data, size_t bytes, UniqueFd& out) {
  TSRUN_TRY(DataMemfd(name, out));
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t n = sys::Retry([&] { return write(out.get(), at, bytes); });
    if (n < 0) return Status::Fail(Op::kWrite, errno, name);
    at += n;
    bytes -= static_cast<size_t>(n);
  }
  if (fcntl(out.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
    return Status::Fail(Op::kFcntl, errno, name);
  return Status::Ok();
}

} // namespace tsrun
