/* confined HOW: allocates, confines itself, allocates again, in a thread and in a child, too; says
 * what came of it. HOW: nothing; chroot FOLDER; files N: no more than N descriptors;
 * locked: all its memory stays in RAM. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "churn.h"

static void* in_thread(void* result) {
  *(long*)result = churn(3000);
  return NULL;
}

static int confine(const char* how, const char* value) {
  if (strcmp(how, "nothing") == 0) return 0;
  if (strcmp(how, "chroot") == 0) return chroot(value) == 0 ? chdir("/") : -1;
  if (strcmp(how, "locked") == 0) return mlockall(MCL_CURRENT | MCL_FUTURE);
  const struct rlimit files = {strtoul(value, NULL, 10), strtoul(value, NULL, 10)};
  if (strcmp(how, "files") == 0) return setrlimit(RLIMIT_NOFILE, &files);
  return -1;
}

int main(int argc, char** argv) {
  alarm(60);
  const long before = churn(3000);
  if (argc < 2 || confine(argv[1], argc > 2 ? argv[2] : "") != 0) return 64;
  const long after = churn(3000);
  long other = 0;
  pthread_t thread;
  if (pthread_create(&thread, NULL, in_thread, &other) != 0) return 2;
  pthread_join(thread, NULL);
  fflush(stdout);
  const pid_t child = fork();
  if (child < 0) return 3;
  if (child == 0) _exit(churn(3000) == before ? 5 : 6);
  int status = 0;
  if (waitpid(child, &status, 0) != child) return 4;
  printf("%ld %ld %ld %d\n", before, after, other, WEXITSTATUS(status));
  fflush(stdout);
  char c;
  while (read(0, &c, 1) == 1) continue;
  return 0;
}
