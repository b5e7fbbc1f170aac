// Takes known amounts of memory of every sort and waits, for the ledger of resident memory.
//
//   ledger FILE   FILE: at least kFile bytes, to be mapped and read
//
// What the program knows: sizes of what it has touched. glibc takes a header of 8 bytes for a
// block, rounded up to 16.
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
  kMiB = 1 << 20,
  kSmall = 200,  // bytes of a small block: 208 with its header
  kChunk = 208,
  kSmallBlocks = 200 * kMiB / kChunk,
  kEach = 64,  // of the small blocks one in so many stays
  kLarge = 20 * kMiB,
  kLargeTouched = 15 * kMiB,
  kAnonymous = 100 * kMiB,
  kFile = 64 * kMiB,
  kThreads = 8,
  kStack = 2 * kMiB,
  kThreadBlock = 1000,  // 1008 with its header
  kThreadBlocks = 2000,
};

static pthread_barrier_t g_ready;
static void* g_blocks[kSmallBlocks];

static void touch_stack(void) {
  volatile char room[kStack];
  for (int i = 0; i < kStack; i += 4096) room[i] = 1;
  if (room[0] != 1) abort();
}

static void* thread(void* blocks) {
  void** kept = blocks;
  touch_stack();
  for (int i = 0; i < kThreadBlocks; i++) kept[i] = memset(malloc(kThreadBlock), 1, kThreadBlock);
  pthread_barrier_wait(&g_ready);
  pause();
  return NULL;
}

static void start_threads(void) {
  static void* kept[kThreads][kThreadBlocks];
  pthread_barrier_init(&g_ready, NULL, kThreads + 1);
  for (int i = 0; i < kThreads; i++) {
    pthread_t id;
    if (pthread_create(&id, NULL, thread, kept[i]) != 0) abort();
  }
  pthread_barrier_wait(&g_ready);
}

static long make_small_blocks(void) {
  for (int i = 0; i < kSmallBlocks; i++) g_blocks[i] = memset(malloc(kSmall), 1, kSmall);
  long kept = 0;
  for (int i = 0; i < kSmallBlocks; i++) {
    if (i % kEach == kEach - 1) {
      kept++;
    } else {
      free(g_blocks[i]);
    }
  }
  return kept;
}

static void map_file(const char* path) {
  int file = open(path, O_RDONLY);
  const volatile char* bytes = mmap(NULL, kFile, PROT_READ, MAP_SHARED, file, 0);
  if (file < 0 || bytes == MAP_FAILED) abort();
  for (long i = 0; i < kFile; i += 4096) (void)bytes[i];
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const long kept = make_small_blocks();
  char* large = malloc(kLarge);  // glibc maps it by itself
  memset(large, 1, kLargeTouched);
  char* anonymous =
      mmap(NULL, kAnonymous, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(anonymous, 1, kAnonymous);
  map_file(argv[1]);
  start_threads();
  const long in_threads = (long)kThreads * kThreadBlocks;
  printf(
      "READY {\"live\": %ld, \"untouched\": %d, \"slack\": %ld, \"anonymous\": %d, "
      "\"file\": %d, \"stacks\": %d}\n",
      kept * kSmall + kLargeTouched + in_threads * kThreadBlock, kLarge - kLargeTouched,
      (long)kSmallBlocks * kChunk - kept * kSmall + in_threads * 8, kAnonymous, kFile,
      kThreads * kStack);
  fflush(stdout);
  getchar();
  return 0;
}
