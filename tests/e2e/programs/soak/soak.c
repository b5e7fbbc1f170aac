/* soak RECORDS SECONDS ROUNDS LIBRARY...: everything at once, ROUNDS times SECONDS, with a rest and
 * a READY line after each. Threads come and go; they allocate, free each other's blocks, realloc,
 * are interrupted by signals whose handlers allocate, and stand deep and shallow in the stack.
 * Beside them libraries that allocate are loaded and unloaded, and children are forked
 * (children.c).
 *
 * A third of a processor is all it takes. It ends itself when it takes far too long. */
#include "soak.h"

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

#include "../known.h"

#define SLOTS 2048
#define THREADS 6
#define LIBRARIES 4
#define LATE 300 /* seconds */

static void* slots[SLOTS]; /* blocks between two owners */
static double round_end, round_start, very_end, cpu_at_start;

static double clock_of(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static double now(void) { return clock_of(CLOCK_MONOTONIC); }
static double cpu(void) {
  struct rusage r;
  getrusage(RUSAGE_CHILDREN, &r);
  return clock_of(CLOCK_PROCESS_CPUTIME_ID) + (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
         (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

int time_is_up(void) { return now() >= round_end; }
void pace(void) {
  while (!time_is_up() && cpu() - cpu_at_start > (now() - round_start) / 3) usleep(1000);
}

void* take_any(uint64_t* random) {
  return __atomic_exchange_n(&slots[below(random, SLOTS)], NULL, __ATOMIC_ACQ_REL);
}
static void put_any(uint64_t* random, void* block) {
  known_free(__atomic_exchange_n(&slots[below(random, SLOTS)], block, __ATOMIC_ACQ_REL));
}

/* ---- sites ----------------------------------------------------------------------------------- */

DEFINE_SITE(site_malloc, (size_t n), n, malloc(n))
DEFINE_SITE(site_other_malloc, (size_t n), n, malloc(n))
DEFINE_SITE(site_calloc, (size_t n), n, calloc(1, n))
DEFINE_SITE(site_memalign, (size_t n), n, memalign(64, n))
DEFINE_SITE(site_deep, (size_t n), n, malloc(n))
DEFINE_SITE(site_in_handler, (size_t n), n, malloc(n))
DEFINE_SITE(site_in_async_handler, (size_t n), n, malloc(n))
DEFINE_SITE(site_thread_left, (size_t n), n, malloc(n))
DEFINE_REALLOC_SITE(site_realloc, (void* old, size_t n), old, n, realloc(old, n))
DEFINE_REALLOC_SITE(site_other_realloc, (void* old, size_t n), old, n, realloc(old, n))

static size_t some_size(uint64_t* random) {
  static const size_t most[] = {64, 64, 64, 64, 64, 1024, 1024, 16384};
  return 1 + below(random, below(random, 100) == 0 ? 256 << 10 : most[below(random, 8)]);
}

static void* some_block(uint64_t* random) {
  static void* (*const sites[])(size_t) = {site_malloc, site_other_malloc, site_calloc,
                                           site_memalign};
  return sites[below(random, 4)](some_size(random));
}

NOINLINE static void* deep(size_t depth, size_t n) {
  char volatile frame[64];
  frame[0] = (char)depth;
  void* p = depth == 0 ? site_deep(n) : deep(depth - 1, n);
  return frame[0] == (char)depth ? p : NULL;
}

/* ---- signals --------------------------------------------------------------------------------- */

static _Thread_local volatile sig_atomic_t may_allocate; /* nothing of the allocator is under way */
static _Thread_local uint64_t handler_random = 77;

static void on_usr1(int number) {
  (void)number;
  put_any(&handler_random, site_in_handler(some_size(&handler_random)));
}

static void on_alarm(int number) {
  (void)number;
  if (now() > very_end) _exit(98);
  if (!may_allocate) return;
  may_allocate = 0;
  put_any(&handler_random, site_in_async_handler(some_size(&handler_random)));
}

static void wait_for_a_signal(void) {
  const double end = now() + 0.002;
  may_allocate = 1;
  while (may_allocate && now() < end) {
  }
  may_allocate = 0;
}

/* The alarm is for the threads that come and go: it finds them anywhere. */
static void mask_alarm(int how) {
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  pthread_sigmask(how, &alarm, NULL);
}

static void handle_signals(void) {
  mask_alarm(SIG_BLOCK);
  const struct sigaction usr1 = {.sa_handler = on_usr1, .sa_flags = SA_RESTART};
  const struct sigaction alarm = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &usr1, NULL);
  sigaction(SIGALRM, &alarm, NULL);
  const struct itimerval often = {{0, 3000}, {0, 3000}};
  setitimer(ITIMER_REAL, &often, NULL);
}

/* ---- threads --------------------------------------------------------------------------------- */

static void step(uint64_t* random) {
  const size_t what = below(random, 100);
  if (what < 45) {
    put_any(random, some_block(random));
  } else if (what < 70) {
    known_free(take_any(random));
  } else if (what < 80) {
    put_any(random, site_realloc(take_any(random), some_size(random)));
  } else if (what < 90) {
    put_any(random, site_other_realloc(take_any(random), some_size(random)));
  } else if (what < 96) {
    put_any(random, deep(below(random, 400), some_size(random)));
  } else {
    raise(SIGUSR1);
  }
}

static void* live_and_end(void* seed) {
  uint64_t random = (uint64_t)(uintptr_t)seed;
  handler_random = random ^ 0x5555;
  mask_alarm(SIG_UNBLOCK);
  const size_t steps = 20 + below(&random, 1000);
  for (size_t i = 0; i < steps && !time_is_up(); i++) {
    step(&random);
    if (i % 64 == 0) pace();
  }
  if (below(&random, 20) == 0) wait_for_a_signal();
  return site_thread_left(some_size(&random));
}

static pthread_t start(void* (*run)(void*), uint64_t seed) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, run, (void*)(uintptr_t)(seed | 1)) != 0) abort();
  return thread;
}

static void run_threads(uint64_t* random) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) threads[i] = start(live_and_end, next_random(random));
  for (int i = 0;; i = (i + 1) % THREADS) {
    void* left;
    pthread_join(threads[i], &left);
    known_free(left);
    threads[i] = 0;
    if (time_is_up()) break;
    threads[i] = start(live_and_end, next_random(random));
  }
  for (int i = 0; i < THREADS; i++) {
    void* left;
    if (threads[i] == 0) continue;
    pthread_join(threads[i], &left);
    known_free(left);
  }
}

/* ---- libraries ------------------------------------------------------------------------------- */

static char** libraries;
static struct known_site plugin_known[LIBRARIES] = {{.name = "site_plugin_0"},
                                                    {.name = "site_plugin_1"},
                                                    {.name = "site_plugin_2"},
                                                    {.name = "site_plugin_3"}};
typedef void* (*allocates)(size_t);

struct use {
  allocates allocate;
  struct known_site* site;
  uint64_t random;
};

static void* use_library(void* argument) {
  struct use* use = argument;
  for (size_t i = 1 + below(&use->random, 20); i > 0; i--) {
    const size_t n = some_size(&use->random);
    put_any(&use->random, known_allocated(use->site, use->allocate(n), n));
  }
  return NULL;
}

/* By this thread and by one of its own. */
static void* load_and_use(size_t number, uint64_t* random) {
  void* library = dlopen(libraries[number], RTLD_NOW | RTLD_LOCAL);
  if (!library) abort();
  struct use use = {(allocates)dlsym(library, "plugin_allocates"), &plugin_known[number],
                    next_random(random) | 1};
  use_library(&use);
  pthread_t thread;
  if (pthread_create(&thread, NULL, use_library, &use) != 0) abort();
  pthread_join(thread, NULL);
  return library;
}

/* Mappings that come and go push the libraries to other addresses. */
static void* load_libraries(void* seed) {
  uint64_t random = (uint64_t)(uintptr_t)seed;
  while (!time_is_up()) {
    const size_t gap = (1 + below(&random, 64)) * 4096;
    void* in_the_way = mmap(NULL, gap, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const size_t first = below(&random, LIBRARIES), count = 1 + below(&random, LIBRARIES);
    void* loaded[LIBRARIES];
    for (size_t i = 0; i < count; i++) loaded[i] = load_and_use((first + i) % LIBRARIES, &random);
    if (below(&random, 2)) munmap(in_the_way, gap), in_the_way = NULL;
    for (size_t i = 0; i < count; i++) dlclose(loaded[i]);
    if (in_the_way) munmap(in_the_way, gap);
    usleep((useconds_t)below(&random, 20000));
    pace();
  }
  return NULL;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void run_round(double seconds, uint64_t* random) {
  round_start = now();
  round_end = round_start + seconds;
  cpu_at_start = cpu();
  forget_records();
  const pthread_t forks = start(fork_children, next_random(random));
  const pthread_t loads = start(load_libraries, next_random(random));
  run_threads(random);
  pthread_join(loads, NULL);
  pthread_join(forks, NULL);
}

int main(int argc, char** argv) {
  if (argc == 4 && strcmp(argv[1], "leaf") == 0) return leaf(argv[2], argv[3]);
  if (argc != 4 + LIBRARIES) return 2;
  const double seconds = atof(argv[2]);
  const int rounds = atoi(argv[3]);
  libraries = argv + 4;
  open_records(argv[1]);
  very_end = now() + seconds * rounds + LATE;
  handle_signals();
  uint64_t random = 20240229;
  for (int i = 0; i < rounds; i++) {
    run_round(seconds, &random);
    known_print_ready();
    if (!known_wait()) return i + 1 == rounds ? 0 : 1;
  }
  return 0;
}
