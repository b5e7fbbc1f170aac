// A tree of processes whose figures are known: `process_tree N` starts N children one after the
// other, by turns in four ways, and prints "PID NUMBER" of each. Child NUMBER keeps
// NUMBER % 50 + 1 blocks of 100 bytes, made by leaf_work. The parent keeps one block of 1 MiB from
// before, made by parent_block, which the forked ones inherit.

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

__attribute__((noinline)) static void* parent_block(void) { return malloc(1 << 20); }

static void* kept[64];

__attribute__((noinline)) static void leaf_work(int number) {
  for (int i = 0; i <= number % 50; i++) kept[i] = malloc(100);
}

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static pid_t spawn(char* const argv[]) {
  pid_t pid;
  if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0) fail("posix_spawnp");
  return pid;
}

static pid_t start(char* self, int number) {
  char text[16], line[512];
  snprintf(text, sizeof text, "%d", number);
  char* leaf[] = {self, "leaf", text, NULL};
  pid_t pid;
  switch (number % 4) {
    case 0:  // a fork alone
      if ((pid = fork()) == 0) {
        leaf_work(number);
        _exit(0);
      }
      return pid;
    case 1:  // a fork that goes on as a program
      if ((pid = fork()) == 0) {
        execv(self, leaf);
        _exit(127);
      }
      return pid;
    case 2:
      return spawn(leaf);
    default:  // a shell between that replaces itself
      snprintf(line, sizeof line, "true; exec '%s' leaf %d", self, number);
      return spawn((char*[]){"/bin/sh", "-c", line, NULL});
  }
}

int main(int argc, char** argv) {
  if (argc == 3 && strcmp(argv[1], "leaf") == 0) {
    leaf_work(atoi(argv[2]));
    return 0;
  }
  const int children = atoi(argv[1]);
  setvbuf(stdout, NULL, _IOLBF, 0);
  memset(parent_block(), 1, 1 << 20);
  for (int number = 0; number < children; number++) {
    const pid_t pid = start(argv[0], number);
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) fail("child");
    printf("%d %d\n", pid, number);
  }
  return 0;
}
