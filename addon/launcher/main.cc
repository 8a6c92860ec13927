// bin/tsrun: records what Node would change of the process (limits, ignored signals, valid descriptors), takes what
// could change Node out of its environment, and executes the Node that tsrun was built for with dist/main.cjs beside
// it.
//
// TSRUN_LAUNCH=v1;nofile=SOFT:HARD;ignored=HEX;fds=0,1,2,…   (bit n-1 of `ignored` is signal n; `fds` stops at 1024)
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

constexpr int kMaxArguments = 8192;
constexpr int kMaxFds = 1024;

/// What of the caller's environment must not reach a privileged Node: it would load code or read files of their choice.
/// OPENSSL_CONF names libraries to load, which Node's OpenSSL does before its first line of JavaScript. The last lines
/// are what glibc itself takes from no one when a program gets privileges (sysdeps/generic/unsecvars.h).
bool Dangerous(const char* entry) {
  static const char* const kPrefixes[] = {
      "NODE_",        "V8_",           "UV_",         "ICU_",         "OPENSSL_",
      "SSL_",         "SIMDUTF_",      "WATCH_",      "LD_",          "MALLOC_",
      "GLIBC_",       "TSRUN_LAUNCH=", "GCONV_PATH=", "GETCONF_DIR=", "HOSTALIASES=",
      "LOCALDOMAIN=", "LOCPATH=",      "NIS_PATH=",   "NLSPATH=",     "RESOLV_HOST_CONF=",
      "RES_OPTIONS=", "TMPDIR=",       "TZDIR=",
  };
  for (const char* prefix : kPrefixes)
    if (strncmp(entry, prefix, strlen(prefix)) == 0) return true;
  return false;
}

[[noreturn]] void Fail(const char* what, const char* advice) {
  fprintf(stderr, "tsrun: %s\n%s\n", what, advice);
  _exit(1);
}

/// The folder two above this executable, whatever symbolic link it was called by.
void FindRoot(char* out, size_t size) {
  const ssize_t n = readlink("/proc/self/exe", out, size - 1);
  if (n <= 0) Fail("cannot read /proc/self/exe", "is /proc mounted?");
  out[n] = '\0';
  for (int i = 0; i < 2; i++) {
    char* slash = strrchr(out, '/');
    if (slash == nullptr) Fail("is installed in an unexpected place", "bin/tsrun must stay in its folder");
    *slash = '\0';
  }
}

bool ReadNodePath(const char* root, char* out, size_t size) {
  char path[4200];
  snprintf(path, sizeof path, "%s/dist/node-path", root);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t n = read(fd, out, size - 1);
  close(fd);
  if (n <= 0) return false;
  out[n] = '\0';
  out[strcspn(out, "\n")] = '\0';
  return access(out, X_OK) == 0;
}

unsigned long long IgnoredSignals() {
  unsigned long long mask = 0;
  for (int number = 1; number <= 64; number++) {
    struct sigaction action;
    if (sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) mask |= 1ULL << (number - 1);
  }
  // With SIGCHLD ignored the kernel would reap our children before we know how they ended.
  if ((mask & (1ULL << (SIGCHLD - 1))) != 0) signal(SIGCHLD, SIG_DFL);
  return mask;
}

char g_launch[256 + kMaxFds * 5];
char* g_environment[kMaxArguments];
char* g_arguments[kMaxArguments];

void Record() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  int length =
      snprintf(g_launch, sizeof g_launch,
               "TSRUN_LAUNCH=v1;nofile=%llu:%llu;ignored=%llx;fds=", static_cast<unsigned long long>(limit.rlim_cur),
               static_cast<unsigned long long>(limit.rlim_max), IgnoredSignals());
  bool first = true;
  // Descriptors are numbered densely; a gap of 64 closed ones ends the search, so that 3 to 5 system calls do.
  for (int fd = 0, closed = 0; fd < kMaxFds && closed < 64; fd++) {
    if (fcntl(fd, F_GETFD) < 0) {
      closed++;
      continue;
    }
    closed = 0;
    length += snprintf(g_launch + length, sizeof g_launch - static_cast<size_t>(length), first ? "%d" : ",%d", fd);
    first = false;
  }
  // Nothing of ours may land on a closed standard stream.
  for (int fd = 0; fd < 3; fd++)
    if (fcntl(fd, F_GETFD) < 0) (void)!open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
}

} // namespace

int main(int argc, char** argv, char** envp) {
  static char root[4096], node[4096], script[4200];
  FindRoot(root, sizeof root);
  snprintf(script, sizeof script, "%s/dist/main.cjs", root);
  const char* chosen = node;
  if (!ReadNodePath(root, node, sizeof node))
    chosen = access("/usr/bin/node", X_OK) == 0 ? "/usr/bin/node" : "/usr/local/bin/node";
  Record();

  static char kName[] = "tsrun", kNoWarnings[] = "--no-warnings", kNoScavenges[] = "--min-semi-space-size=4",
              kEnd[] = "--";
  int count = 0;
  g_arguments[count++] = kName;
  g_arguments[count++] = kNoWarnings;
  // MiB of new objects until V8 collects: a command ends before, so that it never does (1 to 4 ms of a create).
  g_arguments[count++] = kNoScavenges;
  // Without it Node looks for its --env-file among the arguments behind the script, too, and executes what NODE_OPTIONS
  // says in that file: an argument of a container's program would run code on the host.
  g_arguments[count++] = kEnd;
  g_arguments[count++] = script;
  for (int i = 1; i < argc; i++) {
    if (count >= kMaxArguments - 1) Fail("too many arguments", "");
    g_arguments[count++] = argv[i];
  }
  int variables = 0;
  for (char** entry = envp; *entry != nullptr; entry++) {
    if (Dangerous(*entry)) continue;
    if (variables >= kMaxArguments - 2) Fail("too many environment variables", "");
    g_environment[variables++] = *entry;
  }
  g_environment[variables++] = g_launch;
  execve(chosen, g_arguments, g_environment);
  perror("tsrun: cannot start Node");
  fprintf(stderr, "tried %s; build again with the Node to use: npm run build\n", chosen);
  return 1;
}
