// probe [--devices] [--syscalls] [--wait] [FILE…]: says what a process in a container has and may do, a line each:
// KEY TAB VALUE, with \n, \t and \\ in values escaped. The last line is `end`. FILEs are dumped too. With --wait it
// then stays until SIGTERM. Static, and needs nothing of the container's root.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void put_escaped(const char* text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    switch (text[i]) {
    case '\n':
      fputs("\\n", stdout);
      break;
    case '\t':
      fputs("\\t", stdout);
      break;
    case '\\':
      fputs("\\\\", stdout);
      break;
    case '\0':
      fputs("\\n", stdout);
      break;
    default:
      putchar(text[i]);
    }
  }
}

static void say(const char* key, const char* format, ...) __attribute__((format(printf, 2, 3)));
static void say(const char* key, const char* format, ...) {
  char value[8192];
  va_list arguments;
  __builtin_va_start(arguments, format);
  vsnprintf(value, sizeof value, format, arguments);
  __builtin_va_end(arguments);
  printf("%s\t", key);
  put_escaped(value, strlen(value));
  putchar('\n');
}

// Of the C library's table, so that the answer can be read.
static const char* error_name(int error) {
  static char number[16];
  const char* name = strerrorname_np(error);
  if (name != NULL) return name;
  snprintf(number, sizeof number, "%d", error);
  return number;
}

static void dump(const char* path) {
  static char text[1 << 18];
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    printf("file:%s\t! %s\n", path, error_name(errno));
    return;
  }
  size_t length = 0;
  for (;;) {
    const ssize_t n = read(fd, text + length, sizeof text - length);
    if (n < 0) {
      printf("file:%s\t! %s\n", path, error_name(errno));
      close(fd);
      return;
    }
    if (n == 0) break;
    length += (size_t)n;
    if (length == sizeof text) break;
  }
  close(fd);
  printf("file:%s\t", path);
  put_escaped(text, length);
  putchar('\n');
}

static char type_of(mode_t mode) {
  switch (mode & S_IFMT) {
  case S_IFCHR:
    return 'c';
  case S_IFBLK:
    return 'b';
  case S_IFIFO:
    return 'p';
  case S_IFSOCK:
    return 's';
  case S_IFDIR:
    return 'd';
  case S_IFLNK:
    return 'l';
  default:
    return '-';
  }
}

static void describe(const char* key, const char* path, const struct stat* file) {
  char link[512] = "";
  if (S_ISLNK(file->st_mode)) {
    const ssize_t n = readlink(path, link, sizeof link - 1);
    link[n < 0 ? 0 : n] = '\0';
  }
  char number[32] = "";
  if (S_ISCHR(file->st_mode) || S_ISBLK(file->st_mode))
    snprintf(number, sizeof number, " %u:%u", major(file->st_rdev), minor(file->st_rdev));
  say(key, "%c %04o %u:%u%s%s%s", type_of(file->st_mode), file->st_mode & 07777, file->st_uid, file->st_gid, number,
      *link ? " -> " : "", link);
}

// Everything below a directory, without crossing into /dev/pts, whose entries come and go.
static void list(const char* prefix, const char* folder, int depth) {
  DIR* directory = opendir(folder);
  if (directory == NULL) {
    char key[600];
    snprintf(key, sizeof key, "%s%s", prefix, folder);
    say(key, "! %s", error_name(errno));
    return;
  }
  const struct dirent* entry;
  while ((entry = readdir(directory)) != NULL) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    char path[512], key[600];
    snprintf(path, sizeof path, "%s%s%s", folder, strcmp(folder, "/") == 0 ? "" : "/", entry->d_name);
    snprintf(key, sizeof key, "%s%s", prefix, path);
    struct stat file;
    if (lstat(path, &file) < 0) {
      say(key, "! %s", error_name(errno));
      continue;
    }
    describe(key, path, &file);
    if (S_ISDIR(file.st_mode) && depth > 1 && strcmp(path, "/dev/pts") != 0) list(prefix, path, depth - 1);
  }
  closedir(directory);
}

static void identity(void) {
  uid_t r, e, s;
  getresuid(&r, &e, &s);
  say("process/uid", "%u %u %u", r, e, s);
  gid_t gr, ge, gs;
  getresgid(&gr, &ge, &gs);
  say("process/gid", "%u %u %u", gr, ge, gs);
  gid_t groups[128];
  const int n = getgroups(COUNT(groups), groups);
  char text[2048] = "";
  for (int i = 0; i < n; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s%u", i ? " " : "", groups[i]);
  say("process/groups", "%s", text);
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct caps[2] = {0};
  syscall(SYS_capget, &header, caps);
  say("caps/effective", "%08x%08x", caps[1].effective, caps[0].effective);
  say("caps/permitted", "%08x%08x", caps[1].permitted, caps[0].permitted);
  say("caps/inheritable", "%08x%08x", caps[1].inheritable, caps[0].inheritable);
  char bounding[65] = "", ambient[65] = "";
  for (int i = 0; i < 64; i++) {
    const int in = prctl(PR_CAPBSET_READ, i, 0, 0, 0);
    if (in < 0) break;
    strcat(bounding, in ? "1" : "0");
    strcat(ambient, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) == 1 ? "1" : "0");
  }
  say("caps/bounding", "%s", bounding);
  say("caps/ambient", "%s", ambient);
  const mode_t mask = umask(0);
  umask(mask);
  say("process/umask", "%04o", mask);
}

static void process(int argc, char** argv) {
  char text[4096];
  say("process/pid", "%d", getpid());
  say("process/parent", "%s", getppid() == 0 ? "outside" : "inside");
  say("process/session", "%s", getsid(0) == getpid() ? "leader" : getsid(0) == 0 ? "outside" : "member");
  say("process/group", "%s", getpgrp() == getpid() ? "leader" : getpgrp() == 0 ? "outside" : "member");
  say("process/cwd", "%s", getcwd(text, sizeof text) == NULL ? error_name(errno) : text);
  say("process/name", "%s", program_invocation_name);
  prctl(PR_GET_NAME, text, 0, 0, 0);
  say("process/comm", "%s", text);
  text[0] = '\0';
  for (int i = 0; i < argc; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "", argv[i]);
  say("process/args", "%s", text);
  int signal = 0, subreaper = 0;
  prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0);
  prctl(PR_GET_CHILD_SUBREAPER, &subreaper, 0, 0, 0);
  say("prctl/pdeathsig", "%d", signal);
  say("prctl/subreaper", "%d", subreaper);
  say("prctl/dumpable", "%d", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
  say("prctl/securebits", "%d", prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
  say("prctl/keepcaps", "%d", prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0));
  say("prctl/no_new_privs", "%d", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  say("prctl/thp_disable", "%d", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
  say("prctl/timerslack", "%d", prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
  say("prctl/mdwe", "%d", prctl(65 /* PR_GET_MDWE */, 0, 0, 0, 0));
  say("process/personality", "%08x", personality(0xffffffff));
  for (int i = 0; environ[i] != NULL; i++) {
    char key[300];
    const char* equals = strchr(environ[i], '=');
    snprintf(key, sizeof key, "env/%.*s", equals == NULL ? 200 : (int)(equals - environ[i]), environ[i]);
    say(key, "%s", equals == NULL ? "(no =)" : equals + 1);
  }
  text[0] = '\0';
  for (int i = 0; environ[i] != NULL; i++) {
    const char* equals = strchr(environ[i], '=');
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s%.*s", i ? " " : "",
             equals == NULL ? 200 : (int)(equals - environ[i]), environ[i]);
  }
  say("process/environment", "%s", text);
  struct utsname names;
  uname(&names);
  say("uts/hostname", "%s", names.nodename);
  say("uts/domainname", "%s", names.domainname);
  say("uts/machine", "%s", names.machine);
}

struct attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
  uint32_t clamp_min, clamp_max;
};

static void scheduling(void) {
  struct attributes a = {0};
  if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) < 0)
    say("sched/attributes", "! %s", error_name(errno));
  else
    say("sched/attributes", "policy %u flags %llu nice %d priority %u runtime %llu deadline %llu period %llu", a.policy,
        (unsigned long long)a.flags, a.nice, a.priority, (unsigned long long)a.runtime, (unsigned long long)a.deadline,
        (unsigned long long)a.period);
  const long io = syscall(SYS_ioprio_get, 1, 0);
  say("sched/io", "class %ld priority %ld", io >> 13, io & 0x1fff);
  cpu_set_t set;
  char text[256] = "";
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int i = 0; i < 64; i++)
      if (CPU_ISSET(i, &set)) snprintf(text + strlen(text), sizeof text - strlen(text), "%s%d", *text ? " " : "", i);
  say("sched/cpus", "%s", text);
  int mode = -1;
  unsigned long nodes[16] = {0};
  if (syscall(SYS_get_mempolicy, &mode, nodes, sizeof nodes * 8, 0, 0) < 0)
    say("memory/policy", "! %s", error_name(errno));
  else
    say("memory/policy", "mode %d nodes %lx", mode, nodes[0]);
}

static void limits(void) {
  static const char* const names[] = {"CPU",      "FSIZE",  "DATA",    "STACK", "CORE",  "RSS",
                                      "NPROC",    "NOFILE", "MEMLOCK", "AS",    "LOCKS", "SIGPENDING",
                                      "MSGQUEUE", "NICE",   "RTPRIO",  "RTTIME"};
  for (size_t i = 0; i < COUNT(names); i++) {
    struct rlimit limit;
    char key[64];
    snprintf(key, sizeof key, "rlimit/%s", names[i]);
    if (getrlimit((int)i, &limit) < 0)
      say(key, "! %s", error_name(errno));
    else
      say(key, "%lld %lld", (long long)limit.rlim_cur, (long long)limit.rlim_max);
  }
}

static void descriptors(void) {
  for (int fd = 0; fd < 1024; fd++) {
    struct stat file;
    char key[32], text[512], path[64];
    if (fstat(fd, &file) < 0) continue;
    snprintf(key, sizeof key, "fd/%d", fd);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(path, text, sizeof text - 1);
    text[n < 0 ? 0 : n] = '\0';
    char number[32] = "";
    if (S_ISCHR(file.st_mode)) snprintf(number, sizeof number, " %u:%u", major(file.st_rdev), minor(file.st_rdev));
    // Without O_LARGEFILE and how it was opened once.
    const int flags = fcntl(fd, F_GETFL);
    say(key, "%c %04o %u:%u%s flags %o%s %s", type_of(file.st_mode), file.st_mode & 07777, file.st_uid, file.st_gid,
        number, flags & ~(0100000 | O_CLOEXEC), fcntl(fd, F_GETFD) & FD_CLOEXEC ? " cloexec" : "", text);
  }
}

static void terminal(void) {
  struct termios settings;
  struct winsize size;
  if (tcgetattr(0, &settings) < 0)
    say("tty/stdin", "! %s", error_name(errno));
  else
    say("tty/stdin", "iflag %o oflag %o cflag %o lflag %o", settings.c_iflag, settings.c_oflag, settings.c_cflag,
        settings.c_lflag);
  if (ioctl(0, TIOCGWINSZ, &size) == 0) say("tty/size", "%u x %u", size.ws_row, size.ws_col);
  const int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
  say("tty/controlling", "%s", fd < 0 ? error_name(errno) : "yes");
  if (fd < 0) return;
  say("tty/foreground", "%s", tcgetpgrp(fd) == getpgrp() ? "yes" : "no");
  close(fd);
}

static void keyring(void) {
  char text[256] = "";
  const long n =
      syscall(SYS_keyctl, 6 /* KEYCTL_DESCRIBE */, -3L /* KEY_SPEC_SESSION_KEYRING */, text, sizeof text - 1);
  say("keyring/session", "%s", n < 0 ? error_name(errno) : text);
}

static void network(void) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct if_nameindex* all = if_nameindex();
  for (const struct if_nameindex* i = all; i != NULL && i->if_index != 0; i++) {
    struct ifreq request = {0};
    char key[64];
    strncpy(request.ifr_name, i->if_name, IFNAMSIZ - 1);
    snprintf(key, sizeof key, "net/%s", i->if_name);
    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
      say(key, "! %s", error_name(errno));
    else
      say(key, "flags %x", (unsigned short)request.ifr_flags);
  }
  if (all != NULL) if_freenameindex(all);
  if (fd >= 0) close(fd);
}

static void access_rights(void) {
  static const char* const places[] = {
      "/",        "/proc",       "/proc/sys", "/proc/sysrq-trigger", "/proc/kcore", "/proc/keys", "/sys", "/dev",
      "/dev/shm", "/dev/mqueue", "/dev/null", "/sys/fs/cgroup",      "/tmp",        "/root",      "/data"};
  for (size_t i = 0; i < COUNT(places); i++) {
    char key[64];
    snprintf(key, sizeof key, "access%s", places[i]);
    const bool readable = access(places[i], R_OK) == 0;
    const bool writable = access(places[i], W_OK) == 0;
    say(key, "%s %s", readable ? "r" : "-", writable ? "w" : error_name(errno));
  }
}

// ---- what the device rules allow

static const struct {
  mode_t type;
  unsigned major, minor;
} devices[] = {{S_IFCHR, 1, 1},   {S_IFCHR, 1, 3},    {S_IFCHR, 1, 5},    {S_IFCHR, 1, 7},   {S_IFCHR, 1, 8},
               {S_IFCHR, 1, 9},   {S_IFCHR, 1, 11},   {S_IFCHR, 4, 0},    {S_IFCHR, 5, 0},   {S_IFCHR, 5, 1},
               {S_IFCHR, 5, 2},   {S_IFCHR, 10, 200}, {S_IFCHR, 10, 229}, {S_IFCHR, 136, 0}, {S_IFCHR, 10, 237},
               {S_IFCHR, 240, 7}, {S_IFBLK, 7, 0},    {S_IFBLK, 7, 1},    {S_IFBLK, 8, 0},   {S_IFBLK, 240, 7}};

// The rule's answer is EPERM; whatever else the device's driver says means that the rule let the call through.
static const char* answer(int result) {
  return result < 0 && (errno == EPERM || errno == EACCES) ? "no" : "yes";
}

static void device_rules(void) {
  for (size_t i = 0; i < COUNT(devices); i++) {
    char key[64], path[64];
    const char type = devices[i].type == S_IFCHR ? 'c' : 'b';
    snprintf(key, sizeof key, "rule/%c %u:%u", type, devices[i].major, devices[i].minor);
    snprintf(path, sizeof path, "/dev/probe-%c-%u-%u", type, devices[i].major, devices[i].minor);
    const char* made = answer(mknod(path, devices[i].type | 0600, makedev(devices[i].major, devices[i].minor)));
    const int reading = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    const char* readable = answer(reading);
    if (reading >= 0) close(reading);
    // Opened only: nothing is written.
    const int writing = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    const char* writable = answer(writing);
    if (writing >= 0) close(writing);
    say(key, "mknod %s, read %s, write %s", made, strcmp(made, "no") == 0 && access(path, F_OK) < 0 ? "?" : readable,
        strcmp(made, "no") == 0 && access(path, F_OK) < 0 ? "?" : writable);
    unlink(path);
  }
}

// ---- what a seccomp profile answers

// These do not come back, or wait, or act on more than the calling process.
static bool called(long number) {
  switch (number) {
  case SYS_exit:
  case SYS_exit_group:
  case SYS_rt_sigreturn:
  case SYS_sync:
  case SYS_vhangup:
#ifdef SYS_fork
  case SYS_fork:
  case SYS_vfork:
  case SYS_pause:
#endif
    return false;
  default:
    return true;
  }
}

// Each in a process of its own, with arguments that no call can do anything with: an address that is not there, a
// descriptor that is not open, every flag at once.
static void system_calls(void) {
  for (long number = 0; number < 520; number++) {
    if (!called(number)) continue;
    char key[32];
    snprintf(key, sizeof key, "syscall/%ld", number);
    int result[2];
    if (pipe2(result, O_CLOEXEC) < 0) return;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      const int null = open("/dev/null", O_RDWR);
      // What it does to standard output must not reach ours.
      dup2(null, 0);
      dup2(null, 1);
      dup2(null, 2);
      errno = 0;
      const long value = syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
      int error = value < 0 ? errno : 0;
      _exit(write(result[1], &error, sizeof error) == sizeof error ? 0 : 1);
    }
    close(result[1]);
    int error = 0, status = 0;
    const ssize_t n = read(result[0], &error, sizeof error);
    close(result[0]);
    waitpid(child, &status, 0);
    if (n == (ssize_t)sizeof error)
      say(key, "%s", error == 0 ? "done" : error_name(error));
    else if (WIFSIGNALED(status))
      say(key, "signal %d", WTERMSIG(status));
    else
      say(key, "exit %d", WEXITSTATUS(status));
  }
}

// Calls whose answer depends on their arguments in the profiles of docker and podman.
static void conditional_calls(void) {
  const unsigned long personalities[] = {0, 8, 0x20000, 0x20008, 0x1000, 0x40000};
  for (size_t i = 0; i < COUNT(personalities); i++) {
    char key[48];
    snprintf(key, sizeof key, "call/personality %lx", personalities[i]);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) _exit(syscall(SYS_personality, personalities[i]) < 0 ? errno : 0);
    int status;
    waitpid(child, &status, 0);
    say(key, "%s",
        WIFSIGNALED(status)        ? "signal"
        : WEXITSTATUS(status) == 0 ? "done"
                                   : error_name(WEXITSTATUS(status)));
  }
  const struct {
    const char* name;
    int family, type, protocol;
  } sockets[] = {{"inet", AF_INET, SOCK_STREAM, 0},          {"unix", AF_UNIX, SOCK_STREAM, 0},
                 {"vsock", AF_VSOCK, SOCK_STREAM, 0},        {"netlink route", AF_NETLINK, SOCK_RAW, 0},
                 {"netlink audit", AF_NETLINK, SOCK_RAW, 9}, {"alg", AF_ALG, SOCK_SEQPACKET, 0},
                 {"packet", AF_PACKET, SOCK_RAW, 0}};
  for (size_t i = 0; i < COUNT(sockets); i++) {
    char key[48];
    snprintf(key, sizeof key, "call/socket %s", sockets[i].name);
    const int fd = socket(sockets[i].family, sockets[i].type, sockets[i].protocol);
    say(key, "%s", fd < 0 ? error_name(errno) : "done");
    if (fd >= 0) close(fd);
  }
  const struct {
    const char* name;
    unsigned long flags;
  } clones[] = {{"user", CLONE_NEWUSER}, {"net", CLONE_NEWNET}, {"none", 0}};
  for (size_t i = 0; i < COUNT(clones); i++) {
    char key[48];
    snprintf(key, sizeof key, "call/clone %s", clones[i].name);
    fflush(stdout);
    const long child = syscall(SYS_clone, clones[i].flags | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    say(key, "%s", child < 0 ? error_name(errno) : "done");
    if (child > 0) waitpid((pid_t)child, NULL, 0);
  }
}

static const char* const files[] = {
    "/proc/self/status",
    "/proc/self/mountinfo",
    "/proc/self/cgroup",
    "/proc/self/oom_score_adj",
    "/proc/self/timens_offsets",
    "/proc/self/attr/current",
    "/proc/self/setgroups",
    "/proc/self/uid_map",
    "/proc/self/gid_map",
    "/proc/self/stat",
    "/proc/self/loginuid",
    "/proc/self/coredump_filter",
    "/proc/self/autogroup",
    "/proc/keys",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv4/ip_unprivileged_port_start",
    "/proc/sys/net/ipv4/ping_group_range",
    "/proc/sys/net/core/somaxconn",
    "/proc/sys/kernel/msgmax",
    "/proc/sys/kernel/msgmnb",
    "/proc/sys/kernel/sem",
    "/proc/sys/kernel/shmmax",
    "/proc/sys/kernel/shm_rmid_forced",
    "/proc/sys/kernel/domainname",
    "/proc/sys/fs/mqueue/msg_max",
    "/proc/sys/user/max_user_namespaces",
};

static void end(int signal) {
  (void)signal;
  _exit(0);
}

int main(int argc, char** argv) {
  bool wait = false;
  // PID 1 ignores signals that it has no handler for.
  const struct sigaction action = {.sa_handler = end};
  descriptors();
  identity();
  process(argc, argv);
  scheduling();
  limits();
  terminal();
  keyring();
  network();
  access_rights();
  for (size_t i = 0; i < COUNT(files); i++)
    dump(files[i]);
  list("root", "/", 1);
  list("", "/dev", 4);
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--wait") == 0)
      wait = true;
    else if (strcmp(argv[i], "--devices") == 0)
      device_rules();
    else if (strcmp(argv[i], "--syscalls") == 0) {
      conditional_calls();
      system_calls();
    } else
      dump(argv[i]);
  }
  sigaction(SIGTERM, &action, NULL);
  puts("end\t");
  if (fflush(stdout) != 0) return 1;
  if (wait)
    for (;;)
      pause();
  return 0;
}
