// What each part of a process's address space is for.
//
// Role. Puts together what the kernel says (smaps), what the region says (kMappings, threads'
// stacks) and what is known of the allocators:
//   [heap]                  glibc's main arena, if malloc is glibc's
//   64 MiB-aligned          glibc's arenas of threads: memory in use, then the rest of the 64 MiB
//                           without access
//   a page without access, then anonymous memory: a thread's stack and its guard, if no thread has
//                           said where its stack is
//   anonymous behind a file's last mapping: its .bss, which may have merged with what lies behind
//                           it (Piece::bss)
//   no huge pages, not in core dumps, no reservation: memtrace's tables (os::Reserve)
// What nothing is known of stays kUnknown: glibc maps large blocks by itself, and they are told by
// the live table.
//
// Invariant: the pieces' resident bytes of one mapping sum to what smaps says of it.

#ifndef MEMTRACE_TOOLS_READ_ADDRESS_MAP_H_
#define MEMTRACE_TOOLS_READ_ADDRESS_MAP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tools/read/mappings.h"
#include "tools/read/process_memory.h"
#include "tools/read/smaps.h"

namespace memtrace {

enum class Use {
  kUnknown,
  kGlibcHeap,
  kPythonArena,
  kOtherAllocator,
  kFile,
  kStack,
  kAnonymous,  // by the program
  kRecorder,
};

struct Piece {
  uint64_t start = 0;
  uint64_t end = 0;
  uint64_t rss = 0;
  Use use = Use::kUnknown;
  uint32_t site = 0;  // of kAnonymous
  size_t vma = 0;     // index
  bool bss = false;   // of a file or of memtrace, as far as no blocks of an allocator lie in it
};

struct AddressHints {
  std::vector<MappedRange> mapped;
  std::vector<uint64_t> stacks;  // an address in each thread's
  std::string region_path;
  uint64_t region_inode = 0;
};

// `memory` tells which part of a mapping is resident where several pieces share it; nullptr, or
// where it is refused: in proportion to their sizes.
std::vector<Piece> MapAddresses(const std::vector<Vma>& vmas, const AddressHints& hints,
                                ProcessMemory* memory);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_ADDRESS_MAP_H_
