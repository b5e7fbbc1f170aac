/* `deep LEVELS`: allocates once on each level on the way down, and on the way back. Prints READY.
 */
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) static void Allocate(int bytes) {
  void* p = malloc((size_t)bytes);
  asm volatile("" : "+r"(p)::"memory");
  free(p);
  asm volatile("" ::: "memory");
}

__attribute__((noinline)) static int Descend(int levels) {
  Allocate(24);
  int below = levels > 1 ? Descend(levels - 1) : 0;
  Allocate(25);
  return below + 1;
}

int main(int argc, char** argv) {
  const int levels = argc > 1 ? atoi(argv[1]) : 0;
  if (Descend(levels) != levels) return 1;
  printf("READY{}\n");
  return 0;
}
