// stopwatch ERRORS PROGRAM ARG…: runs a program, its standard error in the file ERRORS and the other standard streams
// on /dev/null, and prints how long it took: wall-clock and CPU nanoseconds (of it and of the children that it waited
// for), and its exit status (128 + n after a signal). A small program of its own, because what a large process pays to
// start another one would count as the other's.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}
static long long cpu(const struct timeval* t) {
  return t->tv_sec * 1000000000LL + t->tv_usec * 1000LL;
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // No pipe: what a created container inherits stays open for as long as it lives.
  for (int fd = 0; fd < 2; fd++)
    posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_addopen(&actions, 2, argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t pid;
  const long long begin = now();
  const int err = posix_spawnp(&pid, argv[2], &actions, NULL, argv + 2, environ);
  if (err != 0) {
    fprintf(stderr, "stopwatch: %s: %s\n", argv[2], strerror(err));
    return 127;
  }
  int status;
  struct rusage usage;
  while (wait4(pid, &status, 0, &usage) < 0)
    if (errno != EINTR) return 1;
  const long long end = now();
  printf("%lld %lld %d\n", end - begin, cpu(&usage.ru_utime) + cpu(&usage.ru_stime),
         WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return 0;
}
