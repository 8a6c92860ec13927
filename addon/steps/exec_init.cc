// process.lookup and process.exec: one search, so that create and start agree on what is found.
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "addon/base/sys.h"
#include "addon/base/text_array.h"
#include "addon/exec/init_context.h"
#include "addon/steps/interpreter_init.h"

namespace tsrun {
namespace {

constexpr size_t kPathMax = 4096;

/// Why a file cannot be executed; `err` is 0 if it can.
struct Verdict {
  int err = 0;
  const char* why = ""; // where errno does not say it all
};

Verdict Refused(const char* path) {
  struct statfs fs;
  if (statfs(path, &fs) == 0 && (fs.f_flags & ST_NOEXEC) != 0) return {EACCES, "its file system is mounted noexec"};
  return {EACCES, "it is not executable"};
}

Verdict CheckExecutable(const char* path) {
  struct stat st;
  if (stat(path, &st) != 0) return {errno, errno == EACCES ? "a directory on the way to it may not be entered" : ""};
  if (S_ISDIR(st.st_mode)) return {EISDIR};
  if (!S_ISREG(st.st_mode)) return {EACCES, "it is not a regular file"};
  // faccessat2 (Linux 5.8) with AT_EACCESS: access(2) would judge by what the real uid's capabilities were.
  constexpr int kAtEaccess = 0x200;
  if (syscall(439 /* faccessat2 */, AT_FDCWD, path, X_OK, kAtEaccess) == 0) return {};
  // The container's own filter may forbid a system call that is newer than it: ask in the old way, or let execve
  // decide.
  if (errno == EPERM || errno == ENOSYS) {
    if (syscall(SYS_faccessat, AT_FDCWD, path, X_OK) == 0 || errno == EPERM || errno == ENOSYS) return {};
  }
  if (errno == EACCES) return Refused(path);
  return {errno};
}

/// A name with a slash is a path, any other one is searched for.
bool IsPath(const abi::Str& program) {
  return strchr(program.data, '/') != nullptr;
}

/// Tries the program where it may be: a path as it is, a name in the directories of `search` (an empty one is the
/// current directory, as in execvp), until `attempt(path)` returns false, which is for "no more". Returns whether it
/// did; then `path` is the last one tried. The program's name fits kPathMax.
template <typename Attempt>
bool Search(const abi::Str& program, const abi::Str& search, char (&path)[kPathMax], Attempt attempt) {
  if (IsPath(program)) {
    memcpy(path, program.data, program.size + 1);
    return !attempt(path);
  }
  const char* at = search.data;
  for (;;) {
    const char* end = strchr(at, ':');
    const size_t size = end != nullptr ? static_cast<size_t>(end - at) : strlen(at);
    if (size + 1 + program.size + 1 < kPathMax) {
      size_t used = 0;
      if (size > 0) {
        memcpy(path, at, size);
        used = size;
        path[used++] = '/';
      } else {
        memcpy(path, "./", 2);
        used = 2;
      }
      memcpy(path + used, program.data, program.size + 1);
      if (!attempt(path)) return true;
    }
    if (end == nullptr) return false;
    at = end + 1;
  }
}

/// Looks for the program without executing it. Op::kLookup: of a path what is wrong with it; of a name the first file
/// that was there and could not be executed, as execvp, or ENOENT with the name.
Status Find(const abi::Str& program, const abi::Str& search, char (&path)[kPathMax]) {
  Status first = Status::Fail(Op::kLookup, ENOENT, program.data);
  if (Search(program, search, path, [&](const char* candidate) {
        const Verdict verdict = CheckExecutable(candidate);
        if (verdict.err == 0) return false;
        if (IsPath(program) || (verdict.err == EACCES && first.err == ENOENT))
          first = Status::Fail(Op::kLookup, verdict.err, candidate, 0, verdict.why);
        return true;
      }))
    return Status::Ok();
  return first;
}

/// Reads a number up to `stop`; false for anything else.
bool ParseId(const char*& at, char stop, uint64_t& value) {
  value = 0;
  if (*at < '0' || *at > '9') return false;
  for (; *at >= '0' && *at <= '9'; at++) {
    value = value * 10 + static_cast<uint64_t>(*at - '0');
    if (value > UINT32_MAX) return false;
  }
  return *at == stop;
}

/// Copies the home directory of one line "name:password:uid:gid:comment:home:shell" if it is this uid's.
bool HomeOfLine(const char* at, uint64_t uid, char* home, size_t size) {
  for (int field = 0; field < 2; field++) {
    at = strchr(at, ':');
    if (at == nullptr) return false;
    at++;
  }
  uint64_t found;
  if (!ParseId(at, ':', found) || found != uid) return false;
  for (int field = 2; field < 5; field++) {
    at = strchr(at, ':');
    if (at == nullptr) return false;
    at++;
  }
  const char* end = strchr(at, ':');
  const size_t length = end != nullptr ? static_cast<size_t>(end - at) : strlen(at);
  if (length == 0 || length >= size) return false;
  memcpy(home, at, length);
  home[length] = '\0';
  return true;
}

/// The home directory of a uid by the container's /etc/passwd, or "/". The file is the image's: only a regular one is
/// read, bounded, a line of more than the buffer is passed over (CVE-2022-31030's kind).
void FindHome(uint64_t uid, char* home, size_t size) {
  memcpy(home, "/", 2);
  constexpr size_t kMostBytes = 4 * 1024 * 1024;
  UniqueFd file(open("/etc/passwd", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat st;
  if (!file.valid() || fstat(file.get(), &st) != 0 || !S_ISREG(st.st_mode)) return;
  char buffer[4096];
  size_t used = 0, total = 0;
  bool skipping = false; // inside a line that did not fit
  while (total < kMostBytes) {
    const ssize_t got = sys::Retry([&] { return read(file.get(), buffer + used, sizeof buffer - 1 - used); });
    if (got < 0) return;
    total += static_cast<size_t>(got);
    used += static_cast<size_t>(got);
    if (got == 0) {
      buffer[used] = '\0';
      if (used > 0 && !skipping) HomeOfLine(buffer, uid, home, size);
      return;
    }
    size_t start = 0;
    for (size_t i = 0; i < used; i++) {
      if (buffer[i] != '\n' && buffer[i] != '\0') continue;
      buffer[i] = '\0';
      if (!skipping && HomeOfLine(buffer + start, uid, home, size)) return;
      skipping = false;
      start = i + 1;
    }
    if (start == 0 && used == sizeof buffer - 1) {
      skipping = true;
      start = used;
    }
    memmove(buffer, buffer + start, used - start);
    used -= start;
  }
}

} // namespace

Status Run(InitContext&, const abi::ProcessLookup& step) {
  if (step.program.size >= kPathMax) return Status::Fail(Op::kLookup, ENAMETOOLONG, step.program.data);
  char path[kPathMax];
  return Find(step.program, step.path, path);
}

/// Like execvp, by trying: behind a seccomp filter no other system call may be left.
Status Run(InitContext&, const abi::ProcessExec& step) {
  if (step.program.size >= kPathMax) return Status::Fail(Op::kLookup, ENAMETOOLONG, step.program.data);
  char home[5 + kPathMax] = "HOME=";
  if (step.home) FindHome(static_cast<uint64_t>(syscall(SYS_getuid)), home + 5, kPathMax);
  TextArray args, env;
  TSRUN_TRY(args.Fill(step.args));
  TSRUN_TRY(env.Fill(step.env, step.home ? home : nullptr));
  char path[kPathMax];
  int err = ENOENT;
  const auto execute = [&](const char* candidate) {
    execve(candidate, args.get(), env.get());
    err = errno;
    return err == ENOENT || err == ENOTDIR || err == EACCES;
  };
  if (!Search(step.program, step.path, path, execute)) {
    // These may be about the file, or about its interpreter or its mount: a file that can be found says which.
    TSRUN_TRY(Find(step.program, step.path, path));
    execute(path);
  }
  char interpreter[kPathMax];
  if ((err == ENOENT || err == EACCES) && FindInterpreter(path, interpreter, sizeof interpreter) &&
      CheckExecutable(interpreter).err != 0)
    return Status::Fail(Op::kExecve, err, path, 0, interpreter);
  return Status::Fail(Op::kExecve, err, path);
}

} // namespace tsrun
