/* A program that knows what it allocates.
 *
 * A site is one noinline function that calls the allocator once, so its name identifies it in every
 * report. DEFINE_SITE makes one; it counts calls and requested bytes, and remembers each block in a
 * table of its own, in static memory, so that known_freed() can tell which site a block came from.
 * At the end known_pause() prints all this as one READY line of JSON, without stdio and without
 * allocating, and waits for standard input to end.
 *
 * What counts as one allocation: every successful call. A realloc that succeeds ends the old block
 * and begins a new one at its own site, as one step; one that fails changes nothing; realloc to
 * zero frees. peak_* are the figures of the moment when the sum over all sites was highest; they
 * are exact with one thread.
 *
 * Threading: any thread; one lock around the table. Not for signal handlers that interrupt it.
 */
#ifndef MEMTRACE_TESTS_E2E_KNOWN_H_
#define MEMTRACE_TESTS_E2E_KNOWN_H_

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KNOWN_MAX_SITES 64
#define KNOWN_TABLE (1u << 18) /* blocks alive at once: at most half of it */

struct known_site {
  const char* name;
  int line;
  int registered;
  long long calls, bytes, live_blocks, live_bytes, peak_blocks, peak_bytes;
};

struct known_block {
  void* address;
  size_t bytes;
  struct known_site* site;
};

static struct known_site* known_sites[KNOWN_MAX_SITES];
static int known_site_count;
static struct known_block known_table[KNOWN_TABLE];
static long long known_live, known_peak;
static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;

static inline unsigned known_slot(const void* address) {
  return (unsigned)(((uintptr_t)address >> 4) * 0x9E3779B97F4A7C15ull >> 46) & (KNOWN_TABLE - 1);
}

static inline void known_register(struct known_site* site) {
  if (site->registered) return;
  site->registered = 1;
  if (known_site_count == KNOWN_MAX_SITES) abort();
  known_sites[known_site_count++] = site;
}

static inline void known_insert(struct known_site* site, void* address, size_t bytes) {
  unsigned i = known_slot(address);
  while (known_table[i].address) {
    if (known_table[i].address == address) abort(); /* handed out twice */
    i = (i + 1) & (KNOWN_TABLE - 1);
  }
  known_table[i] = (struct known_block){address, bytes, site};
  site->live_blocks++;
  site->live_bytes += bytes;
  known_live += bytes;
}

/* Linear probing; the blocks after the hole move up. */
static inline struct known_block known_remove(void* address) {
  unsigned hole = known_slot(address);
  while (known_table[hole].address != address) {
    if (!known_table[hole].address) abort(); /* not ours */
    hole = (hole + 1) & (KNOWN_TABLE - 1);
  }
  struct known_block removed = known_table[hole];
  for (unsigned i = (hole + 1) & (KNOWN_TABLE - 1); known_table[i].address;
       i = (i + 1) & (KNOWN_TABLE - 1)) {
    unsigned home = known_slot(known_table[i].address);
    if (((i - home) & (KNOWN_TABLE - 1)) >= ((i - hole) & (KNOWN_TABLE - 1))) {
      known_table[hole] = known_table[i];
      hole = i;
    }
  }
  known_table[hole].address = NULL;
  removed.site->live_blocks--;
  removed.site->live_bytes -= removed.bytes;
  known_live -= removed.bytes;
  return removed;
}

static inline void known_note_peak(void) {
  if (known_live <= known_peak) return;
  known_peak = known_live;
  for (int i = 0; i < known_site_count; i++) {
    known_sites[i]->peak_blocks = known_sites[i]->live_blocks;
    known_sites[i]->peak_bytes = known_sites[i]->live_bytes;
  }
}

static inline void* known_allocated(struct known_site* site, void* address, size_t bytes) {
  if (!address) return NULL;
  pthread_mutex_lock(&known_lock);
  known_register(site);
  site->calls++;
  site->bytes += bytes;
  known_insert(site, address, bytes);
  known_note_peak();
  pthread_mutex_unlock(&known_lock);
  return address;
}

static inline struct known_block known_freed(void* address) {
  struct known_block none = {NULL, 0, NULL};
  if (!address) return none;
  pthread_mutex_lock(&known_lock);
  struct known_block removed = known_remove(address);
  pthread_mutex_unlock(&known_lock);
  return removed;
}

/* After a realloc of `old` that gave `address`; `freed` is what known_freed(old) returned. */
static inline void* known_moved(struct known_site* site, struct known_block freed, void* address,
                                size_t bytes) {
  if (address) return known_allocated(site, address, bytes);
  if (freed.address && bytes > 0) { /* failed: the old block lives on */
    pthread_mutex_lock(&known_lock);
    known_insert(freed.site, freed.address, freed.bytes);
    pthread_mutex_unlock(&known_lock);
  }
  return NULL;
}

#define NOINLINE __attribute__((noinline))
#define KNOWN_SITE(name) \
  static struct known_site name##_known = {#name, __LINE__, 0, 0, 0, 0, 0, 0, 0}

/* The line of a site is that of DEFINE_SITE: keep each on one line. */
#define DEFINE_SITE(name, parameters, requested, call)         \
  KNOWN_SITE(name);                                            \
  NOINLINE void* name parameters {                             \
    void* known_p = call;                                      \
    return known_allocated(&name##_known, known_p, requested); \
  }
#define DEFINE_REALLOC_SITE(name, parameters, old, requested, call)   \
  KNOWN_SITE(name);                                                   \
  NOINLINE void* name parameters {                                    \
    struct known_block known_old = known_freed(old);                  \
    void* known_p = call;                                             \
    return known_moved(&name##_known, known_old, known_p, requested); \
  }

__attribute__((unused)) static NOINLINE void known_free(void* address) {
  known_freed(address);
  free(address);
}

/* ---- output ---------------------------------------------------------------------------------- */

static char known_text[1 << 16];
static size_t known_text_used;

#define KNOWN_PRINT(...)                                             \
  (known_text_used += (size_t)snprintf(known_text + known_text_used, \
                                       sizeof known_text - known_text_used, __VA_ARGS__))

static inline void known_write(const char* text, size_t bytes) {
  while (bytes > 0) {
    ssize_t n = write(1, text, bytes);
    if (n <= 0) _exit(99);
    text += n;
    bytes -= (size_t)n;
  }
}

static inline void known_print_ready(void) {
  known_text_used = 0;
  KNOWN_PRINT("READY{\"pid\":%d,\"peak\":%lld,\"sites\":{", (int)getpid(), known_peak);
  for (int i = 0; i < known_site_count; i++) {
    const struct known_site* s = known_sites[i];
    KNOWN_PRINT(
        "%s\"%s\":{\"line\":%d,\"calls\":%lld,\"bytes\":%lld,\"live_blocks\":%lld,"
        "\"live_bytes\":%lld,\"peak_blocks\":%lld,\"peak_bytes\":%lld}",
        i ? "," : "", s->name, s->line, s->calls, s->bytes, s->live_blocks, s->live_bytes,
        s->peak_blocks, s->peak_bytes);
  }
  KNOWN_PRINT("}}\n");
  known_write(known_text, known_text_used);
}

/* 1 when a line came, 0 when standard input has ended. */
static inline int known_wait(void) {
  char c;
  ssize_t n;
  while ((n = read(0, &c, 1)) == 1)
    if (c == '\n') return 1;
  return 0;
}

static inline void known_pause(void) {
  known_print_ready();
  known_wait();
}

#endif /* MEMTRACE_TESTS_E2E_KNOWN_H_ */
