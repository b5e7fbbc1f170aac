/* A process that forks in the middle of its work. Parent and child each say what they know; the
 * child frees some of what it inherited and allocates at sites old and new. */
#include <sys/wait.h>

#include "known.h"

DEFINE_SITE(site_before_fork, (size_t n), n, malloc(n))
DEFINE_SITE(site_in_parent, (size_t n), n, malloc(n))
DEFINE_SITE(site_in_child, (size_t n), n, malloc(n))
DEFINE_SITE(site_in_both, (size_t n), n, malloc(n))

static void* blocks[100];

/* From here on the child counts its own work only. */
static void forget_inherited_counts(void) {
  for (int i = 0; i < known_site_count; i++) {
    struct known_site* s = known_sites[i];
    s->calls = s->bytes = s->live_blocks = s->live_bytes = s->peak_blocks = s->peak_bytes = 0;
  }
}

int main(void) {
  for (size_t i = 0; i < 100; i++) blocks[i] = site_before_fork(64);
  for (size_t i = 0; i < 10; i++) site_in_both(128);
  pid_t child = fork();
  if (child < 0) abort();
  if (child == 0) {
    for (int i = 0; i < 40; i++) known_free(blocks[i]);
    forget_inherited_counts();
    for (size_t i = 0; i < 50; i++) site_in_child(32 + i);
    for (size_t i = 0; i < 5; i++) site_in_both(256);
    known_pause();
    _exit(0);
  }
  for (size_t i = 0; i < 70; i++) site_in_parent(16 + i);
  for (int i = 0; i < 25; i++) known_free(blocks[99 - i]);
  waitpid(child, NULL, 0);
  known_print_ready();
  return 0;
}
