/* deepbind LIBRARY [eights]: blocks change hands between the program and a library whose malloc and
 * free are not the program's (libaround.c), both ways and in random order.
 *
 * What the library does is not seen. So a block of the program's that the library frees counts as
 * alive until the program gets its address again, as its own: the figures printed are of just that.
 * What is truly alive is printed before, as one line of JSON. With `eights` all sizes are small
 * multiples of eight. */
#include <dlfcn.h>

#include "known.h"

static int known_holds(const void* address) {
  unsigned i = known_slot(address);
  while (known_table[i].address && known_table[i].address != address)
    i = (i + 1) & (KNOWN_TABLE - 1);
  return known_table[i].address != NULL;
}

KNOWN_SITE(site_host);
KNOWN_SITE(site_host_moves);

/* The address may be one that the library has freed, or lie inside such a block, or before its
 * middle: two blocks of 24 bytes or more cannot both start in the same 32. */
enum { kKept = 500 };
static void* kept[kKept];
static struct known_site* whose_site[kKept]; /* NULL: the library's */
static size_t bytes_of[kKept];

static void print_alive(void) {
  long long blocks[2] = {0, 0}, bytes[2] = {0, 0};
  for (int i = 0; i < kKept; i++) {
    if (!whose_site[i]) continue;
    const int moves = whose_site[i] == &site_host_moves_known;
    blocks[moves]++;
    bytes[moves] += (long long)bytes_of[i];
  }
  /* dprintf would allocate. */
  char line[200];
  const int n =
      snprintf(line, sizeof line, "{\"site_host\":[%lld,%lld],\"site_host_moves\":[%lld,%lld]}\n",
               blocks[0], bytes[0], blocks[1], bytes[1]);
  known_write(line, (size_t)n);
}

static void* handed_out(struct known_site* site, void* p, size_t n) {
  void* neighbour = (void*)((uintptr_t)p ^ 16);
  if (known_holds(p)) known_freed(p);
  if (known_holds(neighbour)) known_freed(neighbour);
  return known_allocated(site, p, n);
}

NOINLINE void* site_host(size_t n) {
  void* p = malloc(n);
  return handed_out(&site_host_known, p, n);
}
NOINLINE void* site_host_moves(void* old, size_t n) {
  if (known_holds(old)) known_freed(old);
  void* p = realloc(old, n);
  return handed_out(&site_host_moves_known, p, n);
}
static void host_frees(void* p) {
  if (known_holds(p)) known_freed(p);
  free(p);
}

static unsigned g_seed = 12345;
static unsigned any(unsigned below) {
  g_seed = g_seed * 1103515245 + 12345;
  return (g_seed >> 8) % below;
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  void* library = dlopen(argv[1], RTLD_NOW | RTLD_DEEPBIND);
  if (!library) return fprintf(stderr, "%s\n", dlerror()), 1;
  void* (*around_malloc)(size_t) = (void* (*)(size_t))dlsym(library, "around_malloc");
  void* (*around_realloc)(void*, size_t) =
      (void* (*)(void*, size_t))dlsym(library, "around_realloc");
  void (*around_free)(void*) = (void (*)(void*))dlsym(library, "around_free");
  const int eights = argc > 2;
  for (int i = 0; i < 200000; i++) {
    const unsigned which = any(kKept), whose = any(10);
    void** place = &kept[which];
    const size_t n = eights ? 24 + any(70) * 8 : 1 + (any(8) ? any(700) : any(40000));
    const int was_there = *place != NULL;
    struct known_site* site = NULL;
    if (was_there && whose < 4) {
      whose < 2 ? around_free(*place) : host_frees(*place);
      *place = NULL;
    } else if (was_there && whose < 7) {
      *place = around_realloc(*place, n);
    } else if (was_there) {
      *place = site_host_moves(*place, n);
      site = &site_host_moves_known;
    } else if (whose < 5) {
      *place = around_malloc(n);
    } else {
      *place = site_host(n);
      site = &site_host_known;
    }
    whose_site[which] = site;
    bytes_of[which] = n;
    if (*place) memset(*place, (int)whose, n);
  }
  print_alive();
  known_pause();
  return 0;
}
