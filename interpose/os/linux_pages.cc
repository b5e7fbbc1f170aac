// Which pages of this process's memory exist.

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "interpose/os/os.h"

namespace memtrace::os {

// /proc/PID/pagemap: a word for each page.
bool TouchedPages(uintptr_t start, size_t pages, uint64_t* bits) {
  constexpr uint64_t kExists = uint64_t{3} << 62;  // present, swapped
  constexpr size_t kWords = 512;
  memset(bits, 0, (pages + 63) / 64 * sizeof *bits);
  const int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  uint64_t words[kWords];
  size_t at = 0;
  while (at < pages) {
    const size_t want = pages - at < kWords ? pages - at : kWords;
    const auto offset = static_cast<off_t>((start / PageBytes() + at) * sizeof *words);
    const ssize_t n = pread(fd, words, want * sizeof *words, offset);
    if (n < static_cast<ssize_t>(want * sizeof *words)) break;
    for (size_t i = 0; i < want; i++) {
      if ((words[i] & kExists) != 0) bits[(at + i) / 64] |= uint64_t{1} << (at + i) % 64;
    }
    at += want;
  }
  close(fd);
  return at == pages;
}

}  // namespace memtrace::os
