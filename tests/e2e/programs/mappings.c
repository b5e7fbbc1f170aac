/* A program that maps memory in all the ways there are, and knows what it has.
 *
 * Arguments: nothing; "threads"; "fork". A site is a function that maps; the figures are
 * those of its own mappings: known.h's, counted here, as a mapping may lose parts of itself. What
 * is mapped past libc's functions (unseen) is nobody's.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "known.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define PAGE 4096ul
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)
#define USABLE (PROT_READ | PROT_WRITE)

static void* checked(void* p) {
  if (p == MAP_FAILED) abort();
  return p;
}

static void* mapped(struct known_site* site, void* p, size_t pages) {
  checked(p);
  pthread_mutex_lock(&known_lock);
  known_register(site);
  site->calls++;
  site->bytes += pages * PAGE;
  site->live_blocks++;
  site->live_bytes += pages * PAGE;
  pthread_mutex_unlock(&known_lock);
  return p;
}

/* So many pages of a mapping of the site's have gone; last: and nothing is left of it. */
static void gone(struct known_site* site, size_t pages, int last) {
  pthread_mutex_lock(&known_lock);
  site->live_bytes -= pages * PAGE;
  site->live_blocks -= last;
  pthread_mutex_unlock(&known_lock);
}

#define DEFINE_MAPPING(name, parameters, pages, call) \
  KNOWN_SITE(name);                                   \
  NOINLINE void* name parameters {                    \
    void* got = call;                                 \
    return mapped(&name##_known, got, pages);         \
  }
#define DEFINE_ANONYMOUS(name) \
  DEFINE_MAPPING(name, (size_t n), n, mmap(NULL, n* PAGE, USABLE, ANONYMOUS, -1, 0))
#define DEFINE_FIXED(name)                      \
  DEFINE_MAPPING(name, (char* at, size_t n), n, \
                 mmap(at, n* PAGE, USABLE, ANONYMOUS | MAP_FIXED, -1, 0))
#define DEFINE_REMAP(name, flags) \
  DEFINE_MAPPING(name, (void* p, size_t old, size_t n), n, mremap(p, old* PAGE, n* PAGE, flags))

static void unmap(void* p, size_t pages) {
  if (munmap(p, pages * PAGE) != 0) abort();
}

static char* unseen(size_t pages) {
  return (char*)syscall(SYS_mmap, NULL, pages * PAGE, USABLE, ANONYMOUS, -1, 0);
}

/* ---- whole, in part, several at once ----------------------------------------------------------
 */

DEFINE_MAPPING(site_rounded_up, (size_t n), n,
               mmap64(NULL, n* PAGE - 100, USABLE, ANONYMOUS, -1, 0))
DEFINE_ANONYMOUS(site_with_a_hole)
DEFINE_ANONYMOUS(site_gone_in_parts)
DEFINE_FIXED(site_left)
DEFINE_FIXED(site_right)
DEFINE_FIXED(site_of_many)

static void unmap_in_all_ways(void) {
  void* whole = site_rounded_up(10);
  unmap(whole, 10);
  gone(&site_rounded_up_known, 10, 1);
  site_rounded_up(3);

  char* hole = site_with_a_hole(10);
  unmap(hole + 3 * PAGE, 3);
  gone(&site_with_a_hole_known, 3, 0);

  char* parts = site_gone_in_parts(10);
  unmap(parts + 3 * PAGE, 3);
  unmap(parts, 3);
  gone(&site_gone_in_parts_known, 6, 0);
  unmap(parts + 5 * PAGE, 5); /* begins where nothing is mapped any more */
  gone(&site_gone_in_parts_known, 4, 1);

  char* area = unseen(20); /* left: 2..6, right: 6..10 */
  site_left(area + 2 * PAGE, 4);
  site_right(area + 6 * PAGE, 4);
  unmap(area + 4 * PAGE, 10);
  gone(&site_left_known, 2, 0);
  gone(&site_right_known, 4, 1);

  area = unseen(300);
  for (size_t i = 0; i < 300; i++) site_of_many(area + i * PAGE, 1);
  unmap(area, 300);
  for (size_t i = 0; i < 300; i++) gone(&site_of_many_known, 1, 1);
}

/* ---- over what is there -----------------------------------------------------------------------
 */

DEFINE_MAPPING(site_reservation, (size_t n), n,
               mmap(NULL, n* PAGE, PROT_NONE, ANONYMOUS | MAP_NORESERVE, -1, 0))
DEFINE_FIXED(site_committed)
DEFINE_FIXED(site_replaced)
DEFINE_FIXED(site_replacing)

static void map_over(void) {
  char* reservation = site_reservation(1 << 18);
  site_committed(reservation + 100 * PAGE, 3);
  gone(&site_reservation_known, 3, 0);
  char* area = unseen(8);
  site_replaced(area, 2);
  site_replacing(area, 8);
  gone(&site_replaced_known, 2, 1);
}

/* ---- mremap -----------------------------------------------------------------------------------
 */

DEFINE_ANONYMOUS(site_to_grow)
DEFINE_REMAP(site_grown, MREMAP_MAYMOVE)
DEFINE_ANONYMOUS(site_to_shrink)
DEFINE_REMAP(site_shrunk, 0)
DEFINE_ANONYMOUS(site_to_move)
DEFINE_ANONYMOUS(site_under)
DEFINE_MAPPING(site_moved, (void* p, size_t n, void* to), n,
               mremap(p, n* PAGE, n* PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to))
DEFINE_MAPPING(site_to_double, (size_t n), n,
               mmap(NULL, n* PAGE, USABLE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
DEFINE_REMAP(site_doubled, MREMAP_MAYMOVE)
DEFINE_ANONYMOUS(site_that_stays)
DEFINE_REMAP(site_without_unmapping, MREMAP_MAYMOVE | MREMAP_DONTUNMAP)
DEFINE_ANONYMOUS(site_that_loses_its_end)
DEFINE_REMAP(site_of_an_end, MREMAP_MAYMOVE)

static void remap(void) {
  site_grown(site_to_grow(2), 2, 1000);
  gone(&site_to_grow_known, 2, 1);
  site_shrunk(site_to_shrink(9), 9, 4);
  gone(&site_to_shrink_known, 9, 1);
  char* to = site_under(6);
  site_moved(site_to_move(3), 3, to + 2 * PAGE);
  gone(&site_to_move_known, 3, 1);
  gone(&site_under_known, 3, 0);
  site_doubled(site_to_double(5), 0, 5);
  site_without_unmapping(site_that_stays(7), 7, 7);
  char* whole = site_that_loses_its_end(6);
  site_of_an_end(whole + 4 * PAGE, 2, 50);
  gone(&site_that_loses_its_end_known, 2, 0);
  checked(mremap(unseen(2), 2 * PAGE, 30 * PAGE, MREMAP_MAYMOVE)); /* never seen: nobody's */
}

/* ---- the break, files, failures ----------------------------------------------------------------
 */

DEFINE_MAPPING(site_sbrk, (size_t n), n, sbrk((intptr_t)(n* PAGE)))
DEFINE_MAPPING(site_brk, (char* to, size_t n), n, brk(to) == 0 ? to : MAP_FAILED)
DEFINE_MAPPING(site_file, (int fd, size_t n), n, mmap(NULL, n* PAGE, PROT_READ, MAP_PRIVATE, fd, 0))
DEFINE_MAPPING(site_file_moved, (void* p, size_t n), n,
               mremap(p, n* PAGE, n* PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, unseen(n)))

static void move_the_break(void) {
  site_sbrk(5);
  checked(sbrk(-2 * (intptr_t)PAGE));
  gone(&site_sbrk_known, 2, 0);
  checked(sbrk(0));
  site_brk((char*)sbrk(0) + 7 * PAGE, 7);
}

static void map_files(int fd) {
  site_file(fd, 2);
  site_file_moved(site_file(fd, 3), 3);
  gone(&site_file_known, 3, 1);
}

/* Nothing of this comes to anything. */
static void fail(int fd) {
  char* p = unseen(1);
  int failures = (mmap(NULL, 0, USABLE, ANONYMOUS, -1, 0) == MAP_FAILED) +
                 (mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0) == MAP_FAILED) +
                 (munmap(p + 1, PAGE) != 0) + (munmap(p, 0) != 0) +
                 (mremap(p + 1, PAGE, PAGE, 0) == MAP_FAILED) +
                 (mmap(p, PAGE, USABLE, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED);
  if (failures != 6) abort();
  (void)fd;
}

/* ---- threads, fork -----------------------------------------------------------------------------
 */

#define THREADS 8
#define ROUNDS 400

DEFINE_ANONYMOUS(site_handed_on)
DEFINE_ANONYMOUS(site_of_a_thread)

static void* handed_on[THREADS][ROUNDS];
static pthread_barrier_t barrier;

static void* work(void* argument) {
  size_t self = (size_t)argument, neighbour = (self + 1) % THREADS;
  for (int i = 0; i < ROUNDS; i++) handed_on[self][i] = site_handed_on(1 + i % 3);
  pthread_barrier_wait(&barrier);
  for (int i = 0; i < ROUNDS; i++) {
    char* own = site_of_a_thread(4);
    unmap(handed_on[neighbour][i], 1 + i % 3);
    gone(&site_handed_on_known, 1 + i % 3, 1);
    unmap(own + PAGE, 2);
    unmap(own, 4);
    gone(&site_of_a_thread_known, 4, 1);
  }
  return NULL;
}

static void use_threads(void) {
  pthread_t threads[THREADS];
  pthread_barrier_init(&barrier, NULL, THREADS);
  for (size_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, (void*)i);
  for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

DEFINE_ANONYMOUS(site_before_fork)
DEFINE_ANONYMOUS(site_in_child)
DEFINE_ANONYMOUS(site_in_parent)

/* What a child inherited is its parent's: it knows of its own alone. */
static void fork_in_the_middle(void) {
  char* both = site_before_fork(8);
  site_before_fork(2);
  pid_t child = fork();
  if (child < 0) abort();
  if (child == 0) {
    unmap(both + PAGE, 3);
    for (int i = 0; i < known_site_count; i++) {
      struct known_site* s = known_sites[i];
      s->calls = s->bytes = s->live_blocks = s->live_bytes = 0;
    }
    site_in_child(6);
    unmap(site_in_child(3), 3);
    gone(&site_in_child_known, 3, 1);
    known_pause();
    _exit(0);
  }
  unmap(both, 8);
  gone(&site_before_fork_known, 8, 1);
  site_in_parent(9);
  known_print_ready();
  waitpid(child, NULL, 0);
}

int main(int argc, char** argv) {
  const char* mode = argc > 1 ? argv[1] : "";
  int fd = open("/proc/self/exe", O_RDONLY);
  if (fd < 0) abort();
  if (strcmp(mode, "threads") == 0) {
    use_threads();
  } else if (strcmp(mode, "fork") == 0) {
    fork_in_the_middle();
    return 0;
  } else {
    unmap_in_all_ways();
    map_over();
    remap();
    move_the_break();
    map_files(fd);
    fail(fd);
  }
  known_pause();
  return 0;
}
