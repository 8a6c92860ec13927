// stopwatch ERRORS SEPARATOR PROGRAM ARG… [SEPARATOR PROGRAM ARG…]…: runs programs, all at the same time, their
// standard error in the file ERRORS and the other standard streams on /dev/null. Prints a line for each: when it was
// started (CLOCK_MONOTONIC nanoseconds), how long it took in wall-clock and in CPU nanoseconds (its own and that of the
// children it waited for), the largest resident set of one of these processes in KiB, and the exit status (128 + n
// after a signal). A small program of its own, because what a large process pays to start another one would count as
// the other's; its own resident set, about 1 MiB, is the least that it can report.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

struct run {
  char** argv;
  pid_t pid;
  long long begin, wall, cpu;
  long peak;
  int status;
};

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}
static long long cpu(const struct timeval* t) {
  return t->tv_sec * 1000000000LL + t->tv_usec * 1000LL;
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const char* separator = argv[2];
  struct run* runs = calloc((size_t)argc, sizeof *runs);
  if (runs == NULL) return 1;
  int count = 0;
  for (int i = 2; i < argc; i++) {
    if (strcmp(argv[i], separator) != 0) continue;
    runs[count++].argv = argv + i + 1;
    argv[i] = NULL;
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // No pipe: what a created container inherits stays open for as long as it lives.
  for (int fd = 0; fd < 2; fd++)
    posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_addopen(&actions, 2, argv[1], O_WRONLY | O_CREAT | O_APPEND, 0600);
  unlink(argv[1]);
  for (int i = 0; i < count; i++) {
    runs[i].begin = now();
    const int err = posix_spawnp(&runs[i].pid, runs[i].argv[0], &actions, NULL, runs[i].argv, environ);
    if (err != 0) {
      fprintf(stderr, "stopwatch: %s: %s\n", runs[i].argv[0], strerror(err));
      return 127;
    }
  }
  for (int left = count; left > 0;) {
    int status;
    struct rusage usage;
    const pid_t pid = wait4(-1, &status, 0, &usage);
    const long long end = now();
    if (pid < 0 && errno != EINTR) return 1;
    for (int i = 0; i < count; i++) {
      if (pid <= 0 || runs[i].pid != pid) continue;
      runs[i].wall = end - runs[i].begin;
      runs[i].cpu = cpu(&usage.ru_utime) + cpu(&usage.ru_stime);
      runs[i].peak = usage.ru_maxrss;
      runs[i].status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      left--;
    }
  }
  for (int i = 0; i < count; i++)
    printf("%lld %lld %lld %ld %d\n", runs[i].begin, runs[i].wall, runs[i].cpu, runs[i].peak, runs[i].status);
  return 0;
}
