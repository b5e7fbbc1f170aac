// The frame that every hook puts around the real call. See recorder.h for the order of things.

#ifndef MEMTRACE_INTERPOSE_HOOKS_H_
#define MEMTRACE_INTERPOSE_HOOKS_H_

#include <cstddef>
#include <cstdint>

#include "interpose/recorder.h"
#include "interpose/site_tree.h"
#include "interpose/stack.h"

namespace memtrace {

#define MEMTRACE_EXPORT extern "C" __attribute__((visibility("default")))

// Whether operator new, called from a little further up this stack, has left a note. One that is
// farther away, or of another size, is of a call that ended with an exception (which is allocated
// from very near).
inline bool HasNewNote(const Thread* t, const char* frame) {
  constexpr uintptr_t kNear = 1024;
  return t->new_caller != 0 && static_cast<uintptr_t>(t->new_frame - frame) - 1 < kNear;
}

// Where a hook's allocations come from. Enter() begins an event, Site() says where it is.
struct MallocPlace {
  uintptr_t caller;

  Thread* Enter() const { return memtrace::Enter(caller); }
  MEMTRACE_HOT uint32_t Site(Thread* t) const {
    if (__builtin_expect(g_native, 0)) {
      return NativeSite(t, Domain::kMalloc, caller, __builtin_frame_address(0));
    }
    return MallocSiteHere(t, caller);
  }
  // The malloc inside operator new is told as that one's.
  MEMTRACE_HOT void TakeNewNote(Thread* t, size_t* bytes) {
    if (__builtin_expect(t->new_caller == 0, 1)) return;
    if (HasNewNote(t, static_cast<const char*>(__builtin_frame_address(0))) &&
        *bytes - t->new_bytes <= t->new_padding) {
      caller = t->new_caller;
      t->outer_hook = t->new_frame;
      *bytes = t->new_bytes;
    }
    t->new_caller = 0;
  }
};

struct PythonPlace {
  Domain domain;

  static Thread* Enter() { return EnterReady(); }
  uint32_t Site(Thread* t) const { return PythonSiteHere(t, domain); }
  void TakeNewNote(Thread*, size_t*) {}
};

// One of Python's allocators, when native stacks are wanted.
struct NativePythonPlace : PythonPlace {
  MEMTRACE_HOT uint32_t Site(Thread* t) const {
    return NativeSite(t, domain, reinterpret_cast<uintptr_t>(__builtin_return_address(0)),
                      __builtin_frame_address(0));
  }
};

// call() allocates and returns the block.
template <class Place, class Call>
MEMTRACE_HOT void* RecordedAllocAt(Place place, size_t bytes, Call&& call) {
  Thread* t = place.Enter();
  if (__builtin_expect(t == nullptr, 0)) return call();
  place.TakeNewNote(t, &bytes);
  const uint32_t site = place.Site(t);
  t->busy = Busy::kAllocating;
  void* p = call();
  t->busy = Busy::kRecording;
  if (__builtin_expect(p != nullptr, 1)) RecordAlloc(t, p, bytes, site);
  Leave(t);
  return p;
}

// What the common case of a realloc leaves out.
bool TakeSlow(const void* p, LiveTable::Block* block);
void ReallocFailed(Thread* t, const LiveTable::Block& old, const void* p, bool freed);

// A recorded block is resized by a thread whose allocations are not recorded: it stays a block of
// the place where it is recorded.
template <class Call>
__attribute__((noinline)) void* ReallocUnseen(void* p, size_t bytes, bool zero_frees, Call&& call) {
  Thread* t = UnseenThread();
  LiveTable::Block old;
  if (t == nullptr || !TakeSlow(p, &old)) return call();
  void* q = call();
  t->busy = Busy::kRecording;
  if (q != nullptr) {
    RecordRealloc(t, old, p, q, bytes, SamePlaceNow(t, old.site));
  } else {
    ReallocFailed(t, old, p, bytes == 0 && zero_frees);
  }
  Leave(t);
  return q;
}

// call() resizes p, which is not null. zero_frees: a size of 0 with a null result means "freed".
template <class Place, class Call>
MEMTRACE_HOT void* RecordedReallocAt(Place place, void* p, size_t bytes, bool zero_frees,
                                     Call&& call) {
  Thread* t = place.Enter();
  if (__builtin_expect(t == nullptr, 0)) return ReallocUnseen(p, bytes, zero_frees, call);
  const uint32_t site = place.Site(t);
  // Cleared before the real call: it may free p, and another thread get its address at once.
  LiveTable::Block old;
  const bool known = (IsReady(t->rest) && g_live_table.TakeFast(p, &old)) || TakeSlow(p, &old);
  t->busy = Busy::kAllocating;
  void* q = call();
  t->busy = Busy::kRecording;
  if (__builtin_expect(q != nullptr, 1)) {
    RecordRealloc(t, old, p, q, bytes, site);
  } else if (known) {
    ReallocFailed(t, old, p, bytes == 0 && zero_frees);
  }
  Leave(t);
  return q;
}

void RecordedFreeSlow(void* p);

// To be called before the real free.
MEMTRACE_HOT void RecordedFree(void* p) {
  Thread* t = t_thread;
  if (__builtin_expect(t == nullptr || !IsReady(t->busy), 0)) {
    RecordedFreeSlow(p);
    return;
  }
  uint32_t* slot = g_live_table.FastSlot(p);
  const uint32_t word = __builtin_expect(slot != nullptr, 1) ? *slot : 0;
  if (!LiveTable::MayStart(word) || !LiveTable::IsAt(word, p)) {
    if (__builtin_expect(slot == nullptr || g_live_table.HasFiner(), 0)) RecordedFreeSlow(p);
    return;
  }
  const uint32_t site = LiveTable::SiteOf(word);
  char* cells = t->pages[site / kSitesPerBlock];
  if (__builtin_expect(LiveTable::CodeOf(word) > LiveTable::kSizeNext || cells == nullptr, 0)) {
    RecordedFreeSlow(p);
    return;
  }
  t->busy = Busy::kRecording;
  const uint64_t bytes = g_live_table.Clear(slot, word, p);
  CheckPeak(t);
  const bool temporary = p == t->last_block;
  CountFree(cells, site, bytes, temporary);
  if (temporary) t->last_block = nullptr;
  AddTotal(t, -static_cast<int64_t>(bytes));
  Leave(t);
}

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_HOOKS_H_
