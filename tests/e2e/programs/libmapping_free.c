/* An allocator that maps memory for itself in free: libc's, with that in front. */
#include <stdlib.h>
#include <sys/mman.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void*, size_t);
extern void __libc_free(void*);

void* malloc(size_t bytes) { return __libc_malloc(bytes); }
void* calloc(size_t count, size_t bytes) { return __libc_calloc(count, bytes); }
void* realloc(void* p, size_t bytes) { return __libc_realloc(p, bytes); }
void free(void* p) {
  mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  __libc_free(p);
}

__attribute__((constructor)) static void use_it(void) {
  for (int i = 0; i < 10; i++) free(malloc(100));
}
