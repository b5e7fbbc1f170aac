// A library that Python calls and that calls Python: stacks in which the two take turns.
// Each block is kept, and its size says which stack made it.
#include <stdlib.h>

void* kept[64];
static int count;

__attribute__((noinline)) static void keep(void* block) { kept[count++ % 64] = block; }

__attribute__((noinline)) static void* leaf_block(size_t size) {
  void* block = malloc(size);  // the leaf's line
  return block;
}

__attribute__((noinline)) void mixed_leaf(int size) { keep(leaf_block((size_t)size)); }

// Calls back, and is on the stack meanwhile.
__attribute__((noinline)) int mixed_call(int (*call_back)(int), int number) {
  const int result = call_back(number);  // the call's line
  return result + 1;
}
