/* many_threads N [AT_ONCE]: N threads started and ended, AT_ONCE (4) alive at a time. Pauses after
 * the first tenth and at the end, so that the growth of memtrace's own memory can be seen. */
#include "known.h"

DEFINE_SITE(site_in_thread, (size_t n), n, malloc(n))
DEFINE_SITE(site_left_behind, (size_t n), n, malloc(n))

static void* work(void* argument) {
  size_t number = (size_t)argument;
  void* blocks[10];
  for (size_t i = 0; i < 10; i++) blocks[i] = site_in_thread(16 + (number + i) % 64);
  for (size_t i = 0; i < 10; i++) known_free(blocks[i]);
  return number % 4 == 0 ? site_left_behind(8) : NULL;
}

static void run(size_t first, size_t count, size_t at_once) {
  pthread_t threads[64];
  for (size_t done = 0; done < count; done += at_once) {
    for (size_t i = 0; i < at_once; i++)
      if (pthread_create(&threads[i], NULL, work, (void*)(first + done + i)) != 0) abort();
    for (size_t i = 0; i < at_once; i++) {
      void* left = NULL;
      pthread_join(threads[i], &left);
      if ((first + done + i) % 8 == 0) known_free(left);
    }
  }
}

int main(int argc, char** argv) {
  size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
  size_t at_once = argc > 2 ? strtoul(argv[2], NULL, 10) : 4;
  if (count % (10 * at_once) != 0 || at_once > 64) abort();
  run(0, count / 10, at_once);
  known_print_ready();
  if (!known_wait()) return 1;
  run(count / 10, count - count / 10, at_once);
  known_pause();
  return 0;
}
