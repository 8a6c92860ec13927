// floor ROOTFS CGROUP PROGRAM [TIMES]: the system calls of the container that `runc spec` describes, and nothing else.
// No JSON, no state, no checks beyond "did it work": what this takes, the kernel takes, and no runtime can be faster.
// The file TIMES gets a line a phase, nanoseconds and name.
//
// CGROUP is relative to every hierarchy's root, such as tsrun-bench/floor; its parent is made if missing and stays.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <net/if.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif
#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define TRY(call)                                                                                                      \
  do {                                                                                                                 \
    if ((call) < 0) fail(#call);                                                                                       \
  } while (0)

static void fail(const char* what) {
  dprintf(2, "floor: %s: %s\n", what, strerror(errno));
  _exit(1);
}

static const char *rootfs, *cgroup, *program;

// ---- the phases, each by its end

enum phase { BEGIN, CGROUPS, ENTER, CLONE, MOUNTS, DEVICES, ROOT, HIDE, NETWORK, RIGHTS, PROGRAM, REMOVE, PHASES };
static const char* const phase_names[PHASES] = {NULL,
                                                "make the cgroups",
                                                "enter the cgroups",
                                                "clone with new namespaces",
                                                "mounts",
                                                "device files",
                                                "pivot_root",
                                                "masked and read-only paths",
                                                "hostname, loopback",
                                                "limits, capabilities",
                                                "execve and the program",
                                                "remove the cgroups"};
static long long* ends; // shared with the child

static void end(enum phase phase) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  ends[phase] = t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void write_times(const char* path) {
  FILE* file = fopen(path, "w");
  if (file == NULL) fail(path);
  for (int i = BEGIN + 1; i < PHASES; i++)
    fprintf(file, "%lld %s\n", ends[i] - ends[i - 1], phase_names[i]);
  if (fclose(file) != 0) fail(path);
}

// ---- cgroups

static const char* const controllers[] = {"blkio",      "cpu",     "cpuacct", "cpuset",  "devices",
                                          "freezer",    "hugetlb", "memory",  "net_cls", "net_prio",
                                          "perf_event", "pids",    "rdma",    "systemd"};
static int v2;
static char home[COUNT(controllers)][256]; // where this process is in each v1 hierarchy
static int have[COUNT(controllers)];       // whether there is such a hierarchy
static int cgroup_dir = -1;                // of v2

static int write_file(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const ssize_t n = write(fd, text, strlen(text));
  close(fd);
  return n < 0 ? -1 : 0;
}

static const char* in_cgroup(const char* hierarchy, const char* name) {
  static char path[512];
  snprintf(path, sizeof path, "/sys/fs/cgroup%s%s/%s%s%s", *hierarchy ? "/" : "", hierarchy, cgroup, *name ? "/" : "",
           name);
  return path;
}

static void copy_cpuset(const char* from, const char* to) {
  const char* const names[] = {"cpuset.cpus", "cpuset.mems"};
  for (size_t i = 0; i < COUNT(names); i++) {
    char path[600], text[256];
    snprintf(path, sizeof path, "%.500s/%s", from, names[i]);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    TRY(fd);
    const ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    TRY(n);
    text[n] = '\0';
    snprintf(path, sizeof path, "%.500s/%s", to, names[i]);
    TRY(write_file(path, text));
  }
}

// Makes the parent, too, and then fills it from the root (v1's cpuset begins empty). False if there is no such
// hierarchy.
static int make_cgroup(const char* hierarchy) {
  char path[512];
  const int cpuset = strcmp(hierarchy, "cpuset") == 0;
  snprintf(path, sizeof path, "%s", in_cgroup(hierarchy, ""));
  char* last = strrchr(path, '/');
  *last = '\0';
  if (mkdir(path, 0755) == 0) {
    if (cpuset) copy_cpuset("/sys/fs/cgroup/cpuset", path);
  } else if (errno != EEXIST) {
    return 0;
  }
  *last = '/';
  TRY(mkdir(path, 0755));
  if (cpuset) copy_cpuset("/sys/fs/cgroup/cpuset", path);
  return 1;
}

static const struct {
  int major, minor;
} allowed[] = {{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 2}, {136, -1}};

static void allow_devices_v1(void) {
  TRY(write_file(in_cgroup("devices", "devices.deny"), "a"));
  const char* const more[] = {"c *:* m", "b *:* m"};
  for (size_t i = 0; i < COUNT(more); i++)
    TRY(write_file(in_cgroup("devices", "devices.allow"), more[i]));
  for (size_t i = 0; i < COUNT(allowed); i++) {
    char rule[64], minor[16] = "*";
    if (allowed[i].minor >= 0) snprintf(minor, sizeof minor, "%d", allowed[i].minor);
    snprintf(rule, sizeof rule, "c %d:%s rwm", allowed[i].major, minor);
    TRY(write_file(in_cgroup("devices", "devices.allow"), rule));
  }
}

static void allow_devices_v2(void) {
  struct bpf_insn code[64];
  int n = 0;
#define EMIT(op, dst, src, offset, value)                                                                              \
  code[n++] = (struct bpf_insn){.code = (op), .dst_reg = (dst), .src_reg = (src), .off = (offset), .imm = (value)}
  EMIT(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, 4, 0); // major
  EMIT(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_3, BPF_REG_1, 8, 0); // minor
  for (size_t i = 0; i < COUNT(allowed); i++) {
    const int any = allowed[i].minor < 0;
    EMIT(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, any ? 2 : 3, allowed[i].major);
    if (!any) EMIT(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_3, 0, 2, allowed[i].minor);
    EMIT(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1);
    EMIT(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  }
  EMIT(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0);
  EMIT(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
#undef EMIT
  union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE};
  load.insns = (uintptr_t)code;
  load.insn_cnt = (unsigned)n;
  load.license = (uintptr_t) "Apache-2.0";
  const int loaded = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
  TRY(loaded);
  union bpf_attr attach = {.target_fd = (unsigned)cgroup_dir, .attach_bpf_fd = (unsigned)loaded};
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  TRY(syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach));
  close(loaded);
}

// From lines such as 4:cpu,cpuacct:/user (cgroups(7)).
static void find_home(void) {
  FILE* file = fopen("/proc/self/cgroup", "r");
  if (file == NULL) fail("/proc/self/cgroup");
  char line[512];
  while (fgets(line, sizeof line, file) != NULL) {
    char* names = strchr(line, ':') + 1;
    char* path = strchr(names, ':');
    *path++ = '\0';
    path[strcspn(path, "\n")] = '\0';
    for (char* name = strtok(names, ","); name != NULL; name = strtok(NULL, ","))
      for (size_t i = 0; i < COUNT(controllers); i++)
        if (strcmp(strncmp(name, "name=", 5) == 0 ? name + 5 : name, controllers[i]) == 0)
          snprintf(home[i], sizeof home[i], "%.250s", path);
  }
  fclose(file);
}

static void make_cgroups(void) {
  struct statfs fs;
  TRY(statfs("/sys/fs/cgroup", &fs));
  v2 = fs.f_type == CGROUP2_SUPER_MAGIC;
  if (v2) {
    if (!make_cgroup("")) fail("cgroup");
    TRY(cgroup_dir = open(in_cgroup("", ""), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    allow_devices_v2();
    return;
  }
  find_home();
  for (size_t i = 0; i < COUNT(controllers); i++) {
    have[i] = make_cgroup(controllers[i]);
    if (have[i] && strcmp(controllers[i], "devices") == 0) allow_devices_v1();
  }
}

// v1 has no way to clone into a cgroup, and to move a process the kernel waits for a grace period. But a thread that
// moves only itself does not wait (Linux 5.7), and a child is born where its parent is.
static void enter_cgroups(void) {
  for (size_t i = 0; i < COUNT(controllers); i++)
    if (have[i]) TRY(write_file(in_cgroup(controllers[i], "tasks"), "0"));
}

static void leave_cgroups(void) {
  for (size_t i = 0; i < COUNT(controllers); i++) {
    char path[600];
    if (!have[i]) continue;
    snprintf(path, sizeof path, "/sys/fs/cgroup/%s%.250s/tasks", controllers[i], home[i]);
    TRY(write_file(path, "0"));
  }
}

static void remove_cgroup(const char* hierarchy) {
  // The kernel may still be taking leave of the process.
  while (rmdir(in_cgroup(hierarchy, "")) < 0) {
    if (errno != EBUSY) fail("rmdir");
    usleep(100);
  }
}

static void remove_cgroups(void) {
  if (v2) remove_cgroup("");
  for (size_t i = 0; !v2 && i < COUNT(controllers); i++)
    if (have[i]) remove_cgroup(controllers[i]);
}

// ---- the container

static const struct {
  const char *type, *target;
  unsigned long flags;
  const char* data;
} mounts[] = {
    {"proc", "proc", 0, NULL},
    {"tmpfs", "dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"},
    {"devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"},
    {"tmpfs", "dev/shm", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=1777,size=65536k"},
    {"mqueue", "dev/mqueue", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL},
    {"sysfs", "sys", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, NULL},
};
static const struct {
  const char* path;
  int major, minor;
} nodes[] = {{"dev/null", 1, 3},   {"dev/zero", 1, 5},    {"dev/full", 1, 7},
             {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0}};
static const char* const links[][2] = {{"/proc/self/fd", "dev/fd"},       {"/proc/self/fd/0", "dev/stdin"},
                                       {"/proc/self/fd/1", "dev/stdout"}, {"/proc/self/fd/2", "dev/stderr"},
                                       {"/proc/kcore", "dev/core"},       {"pts/ptmx", "dev/ptmx"}};
static const char* const readonly[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
static const char* const masked[] = {"/proc/acpi",
                                     "/proc/asound",
                                     "/proc/kcore",
                                     "/proc/keys",
                                     "/proc/latency_stats",
                                     "/proc/timer_list",
                                     "/proc/timer_stats",
                                     "/proc/sched_debug",
                                     "/sys/firmware",
                                     "/proc/scsi",
                                     "/sys/devices/virtual/tpm"};

static void mount_all(void) {
  TRY(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
  TRY(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL));
  TRY(chdir(rootfs));
  for (size_t i = 0; i < COUNT(mounts); i++) {
    if (strncmp(mounts[i].target, "dev/", 4) == 0) TRY(mkdir(mounts[i].target, 0755));
    TRY(mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags, mounts[i].data));
  }
  const unsigned long flags = MS_NOSUID | MS_NOEXEC | MS_NODEV;
  const unsigned long remount = MS_BIND | MS_REMOUNT | MS_RDONLY | flags;
  if (v2) {
    TRY(mount(in_cgroup("", ""), "sys/fs/cgroup", NULL, MS_BIND, NULL));
    TRY(mount(NULL, "sys/fs/cgroup", NULL, remount, NULL));
    return;
  }
  TRY(mount("tmpfs", "sys/fs/cgroup", "tmpfs", flags, "mode=755"));
  for (size_t i = 0; i < COUNT(controllers); i++) {
    char target[64];
    if (!have[i]) continue;
    snprintf(target, sizeof target, "sys/fs/cgroup/%s", controllers[i]);
    TRY(mkdir(target, 0755));
    TRY(mount(in_cgroup(controllers[i], ""), target, NULL, MS_BIND, NULL));
    TRY(mount(NULL, target, NULL, remount, NULL));
  }
  TRY(mount(NULL, "sys/fs/cgroup", NULL, remount, NULL));
}

static void make_devices(void) {
  umask(0);
  for (size_t i = 0; i < COUNT(nodes); i++)
    TRY(mknod(nodes[i].path, S_IFCHR | 0666, makedev((unsigned)nodes[i].major, (unsigned)nodes[i].minor)));
  umask(022);
  for (size_t i = 0; i < COUNT(links); i++)
    TRY(symlink(links[i][0], links[i][1]));
}

static void enter_root(void) {
  TRY(syscall(SYS_pivot_root, ".", "."));
  TRY(umount2(".", MNT_DETACH));
  TRY(chdir("/"));
  TRY(mount(NULL, "/", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
}

static void hide_paths(void) {
  for (size_t i = 0; i < COUNT(readonly); i++) {
    if (mount(readonly[i], readonly[i], NULL, MS_BIND | MS_REC, NULL) < 0) continue; // this kernel has none
    TRY(mount(NULL, readonly[i], NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
  }
  for (size_t i = 0; i < COUNT(masked); i++) {
    if (mount("/dev/null", masked[i], NULL, MS_BIND, NULL) == 0 || errno == ENOENT) continue;
    if (errno != ENOTDIR) fail(masked[i]);
    TRY(mount("tmpfs", masked[i], "tmpfs", MS_RDONLY, "nr_blocks=1,nr_inodes=1"));
  }
}

static void loopback_up(void) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  TRY(fd);
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  TRY(ioctl(fd, SIOCSIFFLAGS, &request));
  close(fd);
}

static void drop_rights(void) {
  const uint32_t keep = 1u << CAP_KILL | 1u << CAP_NET_BIND_SERVICE | 1u << CAP_AUDIT_WRITE;
  for (int capability = 0; capability <= CAP_LAST_CAP; capability++)
    if (capability >= 32 || (keep >> capability & 1) == 0) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[2] = {{keep, keep, 0}, {0, 0, 0}};
  TRY(syscall(SYS_capset, &header, sets));
  TRY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void container(void) {
  end(CLONE);
  mount_all();
  end(MOUNTS);
  make_devices();
  end(DEVICES);
  enter_root();
  end(ROOT);
  hide_paths();
  end(HIDE);
  TRY(sethostname("floor", 5));
  loopback_up();
  end(NETWORK);
  TRY(setsid());
  const struct rlimit files = {1024, 1024};
  TRY(setrlimit(RLIMIT_NOFILE, &files));
  drop_rights();
  end(RIGHTS);
  char* argv[] = {(char*)program, NULL};
  char* envp[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", NULL};
  execve(program, argv, envp);
  fail(program);
}

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    fprintf(stderr, "floor ROOTFS CGROUP PROGRAM [TIMES]\n");
    return 2;
  }
  rootfs = realpath(argv[1], NULL);
  cgroup = argv[2];
  program = argv[3];
  if (rootfs == NULL) fail(argv[1]);
  ends = mmap(NULL, PHASES * sizeof *ends, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (ends == MAP_FAILED) fail("mmap");
  end(BEGIN);
  make_cgroups();
  end(CGROUPS);
  if (!v2) enter_cgroups();
  end(ENTER);
  // Like fork: this process is so small that sharing its memory would save nothing worth a stack of the child's own.
  struct clone_args args = {.flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS,
                            .exit_signal = SIGCHLD};
  if (v2) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = (uint64_t)cgroup_dir;
  }
  const pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
  TRY(pid);
  if (pid == 0) container();
  if (!v2) leave_cgroups();
  int status;
  TRY(waitpid(pid, &status, 0));
  end(PROGRAM);
  remove_cgroups();
  end(REMOVE);
  if (argc == 5) write_times(argv[4]);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
