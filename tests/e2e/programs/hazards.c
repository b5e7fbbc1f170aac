/* Things that programs do and a tracer may trip over. `hazards NAME` does one, prints what came of
 * it, and ends with status 0 when the program itself is content. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "churn.h"

extern char** environ;

static int end_of(pid_t pid) {
  int status = -1;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

/* A daemon: every descriptor is closed, and others are opened under the same numbers. */
static int closed_descriptors(void) {
  const int out = dup2(1, 1000);
  for (int fd = 0; fd < 1000; fd++) close(fd);
  for (int fd = 0; fd < 8; fd++) {
    if (memfd_create("other", 0) != fd) return 1;
  }
  long sum = churn(20000);
  const pid_t child = fork();
  if (child == 0) _exit(churn(20000) == sum ? 3 : 4);
  for (int fd = 0; fd < 8; fd++) {
    if (lseek(fd, 0, SEEK_END) != 0) return 2; /* somebody wrote to our file */
  }
  return dprintf(out, "%ld %d\n", sum, end_of(child)) < 0;
}

static void* small_stack(void* result) {
  *(long*)result = churn(5000);
  return NULL;
}
static int small_stacks(void) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  if (pthread_attr_setstacksize(&attributes, 16384) != 0) return 1;
  for (int i = 0; i < 20; i++) {
    pthread_t thread;
    long sum = 0;
    if (pthread_create(&thread, &attributes, small_stack, &sum) != 0) return 2;
    pthread_join(thread, NULL);
    printf("%ld ", sum);
  }
  return 0;
}

static volatile long g_handled;
static sigjmp_buf g_back;
static void allocating_handler(int number) {
  void* p = malloc(100);
  free(p);
  g_handled += number == SIGUSR1;
}
static void leaving_handler(int number) {
  void* p = malloc(100);
  free(p);
  siglongjmp(g_back, number);
}

/* Signals are raised between allocations, where a handler may allocate. */
static int alternate_stack(void) {
  static char memory[64 * 1024];
  stack_t stack = {.ss_sp = memory, .ss_size = 8192};
  struct sigaction action = {.sa_handler = allocating_handler, .sa_flags = SA_ONSTACK};
  if (sigaltstack(&stack, NULL) != 0 || sigaction(SIGUSR1, &action, NULL) != 0) return 1;
  long sum = 0;
  for (int i = 0; i < 2000; i++) {
    sum += churn(10);
    raise(SIGUSR1);
  }
  return printf("%ld %ld\n", sum, g_handled) < 0;
}
static int long_jumps(void) {
  struct sigaction action = {.sa_handler = leaving_handler};
  if (sigaction(SIGUSR1, &action, NULL) != 0) return 1;
  volatile long sum = 0, jumps = 0;
  for (volatile int i = 0; i < 2000; i++) {
    if (sigsetjmp(g_back, 1) == 0) {
      sum += churn(10);
      raise(SIGUSR1);
      return 2;
    }
    jumps++;
  }
  return printf("%ld %ld\n", sum, jumps) < 0;
}

static int in_new_stack(void* unused) {
  (void)unused;
  return churn(1000) > 0 ? 7 : 8;
}
static int children(void) {
  char* const argv[] = {"/bin/sh", "-c", "exit 5", NULL};
  int sum = 0;
  for (int i = 0; i < 10; i++) {
    pid_t pid = vfork();
    if (pid == 0) {
      execv(argv[0], argv);
      _exit(127);
    }
    sum += end_of(pid);
    if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) != 0) return 1;
    sum += end_of(pid);
    pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); /* past the handlers of fork */
    if (pid == 0) _exit(in_new_stack(NULL));
    sum += end_of(pid);
    static char stack[256 * 1024] __attribute__((aligned(16)));
    sum += end_of(clone(in_new_stack, stack + sizeof stack, SIGCHLD, NULL));
  }
  return printf("%d %ld\n", sum, churn(1000)) < 0;
}

/* What the program has may stay; little more is to be had. */
static int address_space(void) {
  long pages = 0;
  FILE* f = fopen("/proc/self/statm", "r");
  if (!f || fscanf(f, "%ld", &pages) != 1) return 1;
  fclose(f);
  const rlim_t now = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
  const struct rlimit limit = {now + (32u << 20), now + (32u << 20)};
  if (setrlimit(RLIMIT_AS, &limit) != 0) return 2;
  int blocks = 0;
  void* last = NULL;
  for (void** p; (p = malloc(1 << 20)) != NULL; blocks++) {
    *p = last;
    last = p;
  }
  const int error = errno;
  while (last) {
    void* next = *(void**)last;
    free(last);
    last = next;
  }
  return printf("%d %d %ld\n", blocks > 4 && blocks < 40, error == ENOMEM, churn(20000)) < 0;
}

/* Refuses system calls from now on: those that are listed, or all but those. */
static int filter(const int* calls, size_t count, int listed, int error) {
  struct sock_filter code[64] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
  };
  size_t n = 1;
  for (size_t i = 0; i < count; i++) {
    const unsigned char behind = (unsigned char)(count - i);
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], behind, 0);
  }
  const unsigned refuse = SECCOMP_RET_ERRNO | (unsigned)error;
  code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, listed ? SECCOMP_RET_ALLOW : refuse);
  code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, listed ? refuse : SECCOMP_RET_ALLOW);
  struct sock_fprog program = {(unsigned short)n, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* From now on nobody gets new mappings; the heap has been given room before. */
static int no_more_mappings(void) {
  const int calls[] = {SYS_mmap};
  void* room = malloc(100 << 10);
  long before = churn(1000);
  free(room);
  if (filter(calls, 1, 1, ENOMEM) != 0) return 2;
  long after = churn(50000);
  return printf("%ld %ld\n", before, after) < 0;
}

/* Thousands of places that nobody has allocated at before. */
static long new_places(void) {
#define PLACE (p = malloc(40), sum += p != NULL, free(p));
#define FOUR(x) x x x x
  void* p;
  long sum = 0;
  FOUR(FOUR(FOUR(FOUR(FOUR(FOUR(PLACE))))))
  return sum;
}

/* What a tracer would like to do beside allocating: advise, open, read memory, ask who and when. */
static int no_advice_and_no_files(void) {
  const int calls[] = {SYS_madvise,          SYS_openat, SYS_ftruncate, SYS_mremap,
                       SYS_process_vm_readv, SYS_tgkill, SYS_readlink,  SYS_prctl,
                       SYS_memfd_create,     SYS_statfs};
  long before = churn(1000);
  if (filter(calls, sizeof calls / sizeof calls[0], 1, EPERM) != 0) return 2;
  long sum = 0;
  pthread_t thread;
  if (pthread_create(&thread, NULL, small_stack, &sum) != 0) return 3;
  pthread_join(thread, NULL);
  long after = churn(50000) + new_places();
  return printf("%ld %ld %ld\n", before, sum, after) < 0;
}

/* What a sandbox leaves to a program that computes: its heap, its output, its end. */
static int nothing_but_the_heap(void) {
  const int calls[] = {SYS_brk,  SYS_read,  SYS_write,       SYS_exit_group,
                       SYS_exit, SYS_futex, SYS_rt_sigreturn};
  long before = churn(1000);
  if (printf("%ld\n", before) < 0 || fflush(stdout) != 0) return 1;
  if (filter(calls, sizeof calls / sizeof calls[0], 0, EPERM) != 0) return 2;
  long after = churn(50000) + new_places();
  return printf("%ld\n", after) < 0;
}

static int errno_is_kept(void) {
  for (int i = 0; i < 20000; i++) {
    errno = 77;
    void* p = malloc((size_t)i);
    if (p == NULL || errno != 77) return 1;
    p = realloc(p, (size_t)i + 100);
    if (p == NULL || errno != 77) return 2;
    free(p);
    if (errno != 77) return 3;
  }
  return puts("kept") < 0;
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    int (*run)(void);
  } kHazards[] = {
      {"closed_descriptors", closed_descriptors},
      {"small_stacks", small_stacks},
      {"alternate_stack", alternate_stack},
      {"long_jumps", long_jumps},
      {"children", children},
      {"address_space", address_space},
      {"no_more_mappings", no_more_mappings},
      {"no_advice_and_no_files", no_advice_and_no_files},
      {"nothing_but_the_heap", nothing_but_the_heap},
      {"errno_is_kept", errno_is_kept},
  };
  alarm(60);
  for (size_t i = 0; i < sizeof kHazards / sizeof kHazards[0]; i++) {
    if (argc != 2 || strcmp(argv[1], kHazards[i].name) != 0) continue;
    const int status = kHazards[i].run();
    fflush(stdout);
    return status;
  }
  fprintf(stderr, "usage: hazards NAME\n");
  return 64;
}
