/* Allocations in signal handlers. raise() runs the handler at a known point, also from within a
 * handler and from a thread; a timer interrupts the allocating loop at unknown ones, and its
 * handler only counts (malloc there would be undefined), so nothing may be lost. */
#include <signal.h>
#include <sys/time.h>

#include "known.h"

DEFINE_SITE(site_in_handler, (size_t n), n, malloc(n))
DEFINE_SITE(site_in_nested_handler, (size_t n), n, malloc(n))
DEFINE_SITE(site_in_loop, (size_t n), n, malloc(n))

static void* kept[2000];
static int kept_count;
static volatile sig_atomic_t ticks;

static void on_usr1(int number) {
  (void)number;
  kept[kept_count] = site_in_handler(100 + (size_t)kept_count % 50);
  kept_count++;
  raise(SIGUSR2);
}
static void on_usr2(int number) {
  (void)number;
  known_free(site_in_nested_handler(33));
}
static void on_alarm(int number) {
  (void)number;
  ticks++;
}

static void* in_thread(void* unused) {
  (void)unused;
  for (int i = 0; i < 100; i++) raise(SIGUSR1);
  return NULL;
}

int main(void) {
  signal(SIGUSR1, on_usr1);
  signal(SIGUSR2, on_usr2);
  signal(SIGALRM, on_alarm);
  for (int i = 0; i < 500; i++) raise(SIGUSR1);
  pthread_t thread;
  pthread_create(&thread, NULL, in_thread, NULL);
  pthread_join(thread, NULL);
  for (int i = 0; i < kept_count; i += 3) known_free(kept[i]);

  struct itimerval often = {{0, 500}, {0, 500}}, off = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &often, NULL);
  while (ticks < 200) known_free(site_in_loop(48));
  setitimer(ITIMER_REAL, &off, NULL);
  known_pause();
  return 0;
}
