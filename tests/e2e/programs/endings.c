/* endings HOW: works, says what it knows, and ends: exit, _exit, abort, kill, segv, quick_exit. */
#include <signal.h>

#include "known.h"

DEFINE_SITE(site_first, (size_t n), n, malloc(n))
DEFINE_SITE(site_last, (size_t n), n, malloc(n))

int main(int argc, char** argv) {
  const char* how = argc > 1 ? argv[1] : "exit";
  for (size_t i = 0; i < 200; i++) {
    void* p = site_first(10 + i);
    if (i % 2) known_free(p);
  }
  site_last(12345);
  known_print_ready();
  if (!strcmp(how, "_exit")) _exit(7);
  if (!strcmp(how, "abort")) abort();
  if (!strcmp(how, "kill")) kill(getpid(), SIGKILL);
  if (!strcmp(how, "segv")) raise(SIGSEGV);
  if (!strcmp(how, "quick_exit")) quick_exit(7);
  exit(7);
}
