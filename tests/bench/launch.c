// launch FD PROGRAM ARG…: runs a program and writes one line to the file descriptor FD:
//   wall seconds, user seconds, system seconds, peak RSS in KiB, wait status
//
// Why a program of its own: the kernel starts a child's peak RSS with that of the process image
// that exec replaces, so a child of Python would show at least Python's own. This one is tiny, and
// forks.

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double Seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static double Of(struct timeval t) { return t.tv_sec + t.tv_usec / 1e6; }

int main(int argc, char** argv) {
  if (argc < 3) return 125;
  int fd = atoi(argv[1]);
  double start = Seconds();
  pid_t pid = fork();
  if (pid < 0) return 125;
  if (pid == 0) {
    close(fd);
    // The preloaded library is for the program, not for this launcher.
    const char* preload = getenv("LAUNCH_PRELOAD");
    if (preload != NULL) {
      setenv("LD_PRELOAD", preload, 1);
      unsetenv("LAUNCH_PRELOAD");
    }
    execvp(argv[2], argv + 2);
    _exit(127);
  }
  int status;
  struct rusage usage;
  if (wait4(pid, &status, 0, &usage) != pid) return 125;
  dprintf(fd, "%.6f %.6f %.6f %ld %d\n", Seconds() - start, Of(usage.ru_utime), Of(usage.ru_stime),
          usage.ru_maxrss, status);
  return 0;
}
