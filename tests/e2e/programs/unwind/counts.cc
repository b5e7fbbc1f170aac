// `counts REGION`: what the library says of the native stacks that it walked, as JSON.

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "core/layout.h"

int main(int argc, char** argv) {
  const int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
  void* base = mmap(nullptr, memtrace::kHeaderBytes, PROT_READ, MAP_SHARED, fd, 0);
  if (fd < 0 || base == MAP_FAILED) return 1;
  const auto* header = static_cast<const memtrace::Header*>(base);
  if (header->magic != memtrace::kRegionMagic) return 2;
  if (header->layout_version != memtrace::kLayoutVersion) return 3;
  printf("{\"checked\":%lu,\"different\":%lu,\"cut\":%lu,\"method\":%u}\n",
         header->stacks_checked.load(), header->stacks_different.load(), header->stacks_cut.load(),
         header->unwind_method);
}
