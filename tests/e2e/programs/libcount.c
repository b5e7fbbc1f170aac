/* An independent count of every allocation a process makes, to be preloaded in front of memtrace.
 *
 * It hands every call on and counts it in a shared file, COUNT_FILE: four 64-bit numbers (calls
 * that gave a block, bytes asked for, blocks freed, calls served by its own early arena). The test
 * reads the file while the program waits, so nothing need be done at exit.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct counts {
  uint64_t calls, bytes, frees, early;
};

static struct counts before_open;
static struct counts* counts = &before_open;
static __thread volatile int
    finding; /* dlsym calls back into this file, which its declaration denies */
static char arena[1 << 16] __attribute__((aligned(16)));
static size_t arena_used;

static void add(uint64_t* counter, uint64_t value) {
  __atomic_fetch_add(counter, value, __ATOMIC_RELAXED);
}

static struct {
  void* (*malloc)(size_t);
  void* (*calloc)(size_t, size_t);
  void* (*realloc)(void*, size_t);
  void (*free)(void*);
  void* (*memalign)(size_t, size_t);
  void* (*aligned_alloc)(size_t, size_t);
  int (*posix_memalign)(void**, size_t, size_t);
  void* (*valloc)(size_t);
  void* (*pvalloc)(size_t);
} next;

/* All are found at the first call, which comes before there is a second thread. */
static void find_all(void) {
  finding = 1;
#define FIND(name) *(void**)&next.name = dlsym(RTLD_NEXT, #name)
  FIND(calloc);
  FIND(realloc);
  FIND(free);
  FIND(memalign);
  FIND(aligned_alloc);
  FIND(posix_memalign);
  FIND(valloc);
  FIND(pvalloc);
  FIND(malloc); /* last: tells that all are there */
#undef FIND
  finding = 0;
  if (!next.malloc) abort();
}
#define FIND_ALL() ((void)(next.malloc || finding || (find_all(), 0)))

static void* early(size_t n) {
  size_t at = __atomic_fetch_add(&arena_used, (n + 15) & ~(size_t)15, __ATOMIC_RELAXED);
  add(&counts->early, 1);
  return at + n <= sizeof arena ? arena + at : NULL;
}
static int is_early(void* p) { return (char*)p >= arena && (char*)p < arena + sizeof arena; }

static void* counted(void* p, size_t n) {
  if (p) {
    add(&counts->calls, 1);
    add(&counts->bytes, n);
  }
  return p;
}

void* malloc(size_t n) {
  if (finding) return early(n);
  FIND_ALL();
  return counted(next.malloc(n), n);
}
void* calloc(size_t k, size_t n) {
  if (finding) return early(k * n);
  FIND_ALL();
  return counted(next.calloc(k, n), k * n);
}
void* realloc(void* p, size_t n) {
  FIND_ALL();
  void* moved = next.realloc(p, n);
  if (p && (moved || n == 0)) add(&counts->frees, 1);
  return counted(moved, n);
}
/* Not handed on: glibc's own calls realloc, which would count it twice. */
void* reallocarray(void* p, size_t k, size_t n) {
  size_t bytes;
  if (__builtin_mul_overflow(k, n, &bytes)) {
    errno = ENOMEM;
    return NULL;
  }
  return realloc(p, bytes);
}
void free(void* p) {
  if (!p || is_early(p)) return;
  FIND_ALL();
  add(&counts->frees, 1);
  if (finding) return; /* an error text of dlsym's, while it looks for our next: left alone */
  next.free(p);
}
void* memalign(size_t a, size_t n) {
  FIND_ALL();
  return counted(next.memalign(a, n), n);
}
void* aligned_alloc(size_t a, size_t n) {
  FIND_ALL();
  return counted(next.aligned_alloc(a, n), n);
}
int posix_memalign(void** out, size_t a, size_t n) {
  FIND_ALL();
  int status = next.posix_memalign(out, a, n);
  if (status == 0) counted(*out, n);
  return status;
}
void* valloc(size_t n) {
  FIND_ALL();
  return counted(next.valloc(n), n);
}
void* pvalloc(size_t n) {
  FIND_ALL();
  return counted(next.pvalloc(n), n);
}

/* What was counted before this ran is carried over. The process has one thread then. */
__attribute__((constructor)) static void open_file(void) {
  const char* path = getenv("COUNT_FILE");
  if (!path) return;
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, sizeof(struct counts)) != 0) abort();
  struct counts* file = mmap(NULL, sizeof *file, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (file == MAP_FAILED) abort();
  *file = *counts;
  counts = file;
}
