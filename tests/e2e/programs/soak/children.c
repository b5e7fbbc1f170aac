/* The soak's children: forked beside busy threads, they exit, exec, fork again, or are killed. Each
 * counts before and after every call, so that at any moment the truth lies between two figures. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soak.h"

#define HELD 4096

static struct child_record* records;
static const char* records_path;
static int used;
static void* held[HELD]; /* by this process */

static void map_records(const char* path, int flags) {
  const size_t bytes = MOST_CHILDREN * sizeof *records;
  const int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
  if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0) abort();
  records = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (records == MAP_FAILED) abort();
  close(fd);
  records_path = path;
}

void open_records(const char* path) { map_records(path, O_CREAT | O_TRUNC); }

void forget_records(void) {
  for (; used > 0; used--) records[used - 1] = (struct child_record){0, 0, 0, 0, 0, 0};
}

static void count(int64_t* counter) { __atomic_fetch_add(counter, 1, __ATOMIC_SEQ_CST); }

__attribute__((noinline)) static void* site_in_child(size_t n) {
  void* volatile p = malloc(n);
  return p;
}

/* The last HELD blocks live on. */
static void work(struct child_record* r, int rounds) {
  for (int i = 0; i < rounds; i++) {
    void** place = &held[i % HELD];
    if (*place) {
      count(&r->free_begun);
      free(*place);
      count(&r->free_done);
    }
    count(&r->begun);
    *place = site_in_child(CHILD_BYTES);
    count(&r->done);
  }
}

int leaf(const char* path, const char* index) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  map_records(path, 0);
  work(&records[atoi(index)], 300);
  return 0;
}

static void free_some_inherited(uint64_t* random) {
  for (int i = 0; i < 50; i++) free(take_any(random));
}

static void go_on_as_leaf(int index) {
  char digits[12], *at = digits + sizeof digits;
  *--at = 0;
  do *--at = (char)('0' + index % 10);
  while ((index /= 10) > 0);
  execl("/proc/self/exe", "soak", "leaf", records_path, at, (char*)NULL);
  _exit(97);
}

static void reap(pid_t pid, int killed) {
  int status;
  if (waitpid(pid, &status, 0) != pid) abort();
  const int as_meant = killed ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL : status == 0;
  if (!as_meant) abort();
}

static void child(int index, int kind, uint64_t* random);

static pid_t start(int index, int kind, uint64_t* random) {
  records[index].kind = kind;
  const pid_t pid = fork();
  if (pid < 0) abort();
  if (pid == 0) {
    records[index].pid = getpid();
    child(index, kind, random);
  }
  return pid;
}

/* Does not return. No child outlives its parent: whoever ends is waited for, or ends it. */
static void child(int index, int kind, uint64_t* random) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int i = 0; i < HELD; i++) held[i] = NULL; /* what a parent made is not counted here */
  free_some_inherited(random);
  if (kind == CHILD_EXECS) go_on_as_leaf(index);
  if (kind == CHILD_KILLED) {
    for (;;) work(&records[index], 1 << 20);
  }
  work(&records[index], 200 + (int)below(random, 5000));
  if (kind == CHILD_FORKS) reap(start(index + 1, CHILD_EXITS, random), 0);
  _exit(0);
}

static void run_child(uint64_t* random) {
  const int kind = 1 + (int)below(random, CHILD_KINDS - 1);
  const useconds_t life = (useconds_t)below(random, 8000);
  const int index = used;
  used += kind == CHILD_FORKS ? 2 : 1;
  const pid_t pid = start(index, kind, random);
  if (kind == CHILD_KILLED) {
    usleep(life);
    kill(pid, SIGKILL);
  }
  reap(pid, kind == CHILD_KILLED);
}

void* fork_children(void* seed) {
  uint64_t random = (uint64_t)(uintptr_t)seed;
  while (!time_is_up() && used + 2 <= MOST_CHILDREN) {
    run_child(&random);
    usleep((useconds_t)below(&random, 400000)); /* a minute's regions stay in any case: not 1,000 */
    pace();
  }
  return NULL;
}
