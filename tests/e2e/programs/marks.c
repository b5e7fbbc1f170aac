/* Allocates for ever, frees a third, and prints a mark after every 1,000 blocks kept: "MARK k". */
#include "known.h"

NOINLINE void* site_kept(size_t n) {
  void* volatile p = malloc(n);
  return p;
}
NOINLINE void* site_freed(size_t n) {
  void* volatile p = malloc(n);
  return p;
}

int main(void) {
  for (long long k = 1;; k++) {
    for (int i = 0; i < 1000; i++) {
      site_kept(48);
      if (i % 2) free(site_freed(24));
    }
    known_text_used = 0;
    KNOWN_PRINT("MARK %lld\n", k);
    known_write(known_text, known_text_used);
  }
}
