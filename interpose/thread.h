// What the recorder keeps for each thread, in private memory: its slot in the region, the way from
// a site to its cell, and caches that make the common case a few loads.
//
// A Thread belongs to a slot, not to a kernel thread: when a thread has ended, the next new one
// takes slot and Thread over. Only the present user touches it. There are no destructors: a dead
// thread is noticed when somebody looks for a free slot.

#ifndef MEMTRACE_INTERPOSE_THREAD_H_
#define MEMTRACE_INTERPOSE_THREAD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/layout.h"

namespace memtrace {

// What the thread is doing; an allocation seen in any state but kIdle is not the program's own.
enum class Busy : uint32_t {
  kIdle = 0,
  kRecording = 1,  // in the recorder: only a signal handler can allocate now; dropped and counted
  kAllocating = 2  // in the real allocator: what it allocates is part of the outer block
};

// One Python frame of the thread's stack as last seen, outermost first.
struct CachedFrame {
  const char* frame;
  const char* code;
  uint64_t ip;
  uint32_t node;
  uint32_t entry;    // where in Thread::nodes it was found, kNoEntry: a frame that is not shown
  uint32_t code_id;  // 0: not shown
  uint32_t reserved;
};

// (parent, code, instruction) -> node, and the sites of Python's domains at that node.
struct NodeCacheEntry {
  uint32_t parent;
  uint32_t code;  // code id, 0: empty
  uint32_t offset;
  uint32_t node;
  uint32_t python_sites[2];  // Domain::kPythonMem, kPythonObj; 0: not known yet
  uint32_t reserved[2];
};

// (node, domain and native caller) -> site.
struct SiteCacheEntry {
  uint64_t key;  // caller << 3 | domain, 0: empty
  uint32_t node;
  uint32_t site;
};

// Return address -> native frame.
struct CallerCacheEntry {
  uint64_t address;
  uint32_t frame;
  uint32_t reserved;
};

struct Thread {
  static constexpr uint32_t kMaxFrames = 1u << 16;
  static constexpr uint32_t kNodeSets = 4096;  // of two ways, a cache line each
  static constexpr uint32_t kNoEntry = ~0u;
  static constexpr uint32_t kSiteSets = 2048;  // of two ways
  static constexpr uint32_t kCallers = 512;
  static constexpr uint32_t kFrameHash = 4096;
  static constexpr uint32_t kScratchBytes = 32 * 1024;
  static constexpr uint32_t kMaxSites = 1u << 24;
  static constexpr uint32_t kMaxNodes = 1u << 24;

  Busy busy;
  uint32_t slot;
  ThreadRecord* record;
  const void* last_block;  // the thread's latest allocation, for temporaries
  uint32_t seen_stale;     // g_stale when `frames` was last valid
  uint32_t seen_modules;   // g_modules_changed when `callers` and `sites` were last valid
  bool owns_total;         // writes Header::owner_total

  // Left by operator new for the malloc inside it: who asked, for how many bytes, from which frame.
  uintptr_t new_caller;  // 0: no note
  uint64_t new_bytes;
  const char* new_frame;

  uint32_t frame_count;  // kept frames: frames[1..frame_count]; frames[0] stays empty
  uint32_t top_entry;    // of the latest capture: CachedFrame::entry of its innermost frame
  uint32_t next_site;    // ids left in the thread's present block of sites
  uint32_t last_site;

  CachedFrame frames[kMaxFrames];
  const char* fresh[kMaxFrames];
  uint16_t frame_at[kFrameHash];  // hash of a frame's address -> its index in frames

  alignas(64) NodeCacheEntry nodes[kNodeSets * 2];
  SiteCacheEntry sites[kSiteSets * 2];
  CallerCacheEntry callers[kCallers];
  Cell* pages[kMaxSites / kSitesPerBlock];  // site block -> this thread's page of cells
  uint32_t* python_sites[2];  // node -> site in kPythonMem, kPythonObj; of kMaxNodes words
  char scratch[kScratchBytes];
};

// Set by anything that makes cached stacks doubtful: a code object freed, a module unloaded.
extern constinit std::atomic<uint32_t> g_stale;

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_THREAD_H_
