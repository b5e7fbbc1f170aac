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

// What the thread is doing; an allocation seen in any state that is not ready is not the program's
// own, or one that needs the slow way.
enum class Busy : uint32_t {
  kClosed = 0,     // not set up; in a forked child: not set up yet; or every event is to be slow
  kIdle = 1,       // the next event may take the fast way
  kRecording = 2,  // in the recorder: only a signal handler can allocate now; dropped and counted
  kWatchful = 3,  // as kIdle for Python's allocators and for frees; another malloc is to look first
                  // whether Python's allocators have been replaced
  kAllocating = 4  // in the real allocator: what it allocates is part of the outer block; or, as
                   // the state between events: what it allocates is not to be recorded
};
inline bool IsReady(Busy busy) { return (static_cast<uint32_t>(busy) & 1) != 0; }

// The thread's Python stack as last seen, outermost first, in two arrays: what is compared at each
// event, and what is known of the frames.
struct KeptFrame {
  const char* frame;
  uint64_t ip;
};
struct FrameInfo {
  const char* code;
  uint64_t key;  // the part of NodeCacheEntry::key that is the same for the whole frame
  uint32_t node;
  uint32_t code_id;   // 0: not known, or a frame that is not shown
  uint32_t sites[2];  // Domain::kPythonMem, kPythonObj at `node`; 0: not known yet
};

// (parent, code, instruction, Python's domain) -> node and site there.
struct NodeCacheEntry {
  uint64_t key;  // parent << 40 | code id << 20 | instruction / 2 << 1 | domain; 0: empty
  uint32_t node;
  uint32_t site;  // 0: not known yet
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

// Where the decoding of a code object's line table stopped: modules run from top to bottom.
struct LineCursor {
  uint32_t code;  // id, 0: none
  int32_t line;
  int64_t start;  // offset in the bytecode where the entry at `at` begins
  uint64_t at;    // offset in the table
};

// Site ids that are left in the blocks a thread has reserved.
struct SiteIds {
  uint32_t next;
  uint32_t end;
};

namespace unwind {
struct NativeStack;
}

// memtrace_meter of inspect.h.
struct Meter {
  int64_t allocated_bytes;
  int64_t freed_bytes;
  int64_t allocated_blocks;
  int64_t freed_blocks;
  int64_t peak_bytes;
  int64_t paused_bytes;
};

struct Thread {
  static constexpr uint32_t kMaxFrames = 1u << 16;
  static constexpr uint32_t kNodeSets = 4096;  // of two ways, half a cache line each
  static constexpr uint32_t kSiteSets = 2048;  // of two ways
  static constexpr uint32_t kCallers = 512;
  static constexpr uint32_t kFrameHash = 4096;
  static constexpr uint32_t kLineCursors = 64;
  static constexpr uint32_t kScratchBytes = 32 * 1024;
  static constexpr uint64_t kNoTssKey = 2;  // like no key, used or unused
  static constexpr uint32_t kTick = 512;    // allocations between two looks at the clock

  // A page that reads as zero, kClosed, in a forked child, whichever way it was forked.
  Busy busy;

  alignas(4096) bool owns_total;  // writes Header::owner_total
  Busy rest;                      // what `busy` is between two events
  uint32_t until_tick;
  uint32_t frame_count;    // kept frames: kept[1..frame_count]; kept[0] stays empty
  uint32_t seen_stale;     // g_stale when the kept frames were last valid
  uint32_t seen_modules;   // g_modules_changed when `callers` and `sites` were last valid
  const void* last_block;  // the thread's latest allocation, for temporaries
  ThreadRecord* record;
  KeptFrame* top;       // kept[frame_count]
  FrameInfo* top_info;  // info[frame_count]
  // python::ThreadState: the key that was last looked up, and where its value lies.
  uint64_t tss_key;
  const char* const* tss_place;
  // Whose frames may be read: python::Learn. Never nullptr, so that one comparison does.
  const char* known_state;
  const char* dead_state;  // freed by another thread, though this one still has it; nullptr: none
  uint32_t* site_place;    // where the latest site was found, to be replaced when it gets busy

  // Left by operator new for the malloc inside it: who asked, for how many bytes, from which frame.
  uintptr_t new_caller;  // 0: no note
  uint64_t new_bytes;
  uint64_t new_padding;  // what the operator may ask malloc for beyond it
  const char* new_frame;
  const char* outer_hook;  // new_frame of a note that has been taken, for the native stack

  unwind::NativeStack* native;  // of the user's native stack; nullptr: none has been taken yet

  uint32_t slot;
  uint32_t known_frames;  // info[1..known_frames] is of code objects that are still alive
  SiteIds small_ids;
  SiteIds busy_ids;
  uint32_t generation;  // g_generation when the thread's sites were made

  uint32_t pauses;  // memtrace_pause() without its memtrace_resume()
  uint32_t meters;  // memtrace_meter_start() without its memtrace_meter_stop()
  Meter meter;

  alignas(64) KeptFrame kept[kMaxFrames];
  FrameInfo info[kMaxFrames];
  const char* fresh[kMaxFrames];
  uint16_t frame_at[kFrameHash];  // hash of a frame's address -> its index in kept

  alignas(64) NodeCacheEntry nodes[kNodeSets * 2];
  SiteCacheEntry sites[kSiteSets * 2];
  CallerCacheEntry callers[kCallers];
  LineCursor lines[kLineCursors];
  // Block of sites -> this thread's cells of it: SmallBlock or CellPage by the site's kind.
  char* pages[kMaxSites / kSitesPerBlock];
  uint32_t* python_sites[2];  // node -> site in kPythonMem, kPythonObj; of kMaxNodes words
  char scratch[kScratchBytes];
};

// Set by anything that makes cached stacks doubtful: a code object freed, a module unloaded.
extern constinit std::atomic<uint32_t> g_stale;

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_THREAD_H_
