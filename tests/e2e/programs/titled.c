/* titled ARGUMENTS: gives itself a title that holds its arguments, as setproctitle does, and goes
 * on in a child that allocates. Waits for the end of its input. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void wait_for_end(void) {
  char c;
  while (read(0, &c, 1) == 1) continue;
}

int main(int argc, char** argv) {
  char* end = argv[argc - 1] + strlen(argv[argc - 1]);
  for (char* p = argv[0]; p < end; p++) {
    if (*p == 0) *p = ' ';
  }
  const pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 100; i++) {
      if (malloc(100) == NULL) _exit(1);
    }
    if (write(1, "READY\n", 6) != 6) _exit(2);
    wait_for_end();
    _exit(0);
  }
  int status = 1;
  return waitpid(child, &status, 0) == child ? WEXITSTATUS(status) : 3;
}
