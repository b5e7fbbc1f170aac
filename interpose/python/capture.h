// The fast way from a thread to the site it is at: what is inlined into the hooks. frames.h tells
// how stacks are followed; what is not as it was goes to frames.cc.

#ifndef MEMTRACE_INTERPOSE_PYTHON_CAPTURE_H_
#define MEMTRACE_INTERPOSE_PYTHON_CAPTURE_H_

#include <atomic>
#include <cstdint>

#include "interpose/hot.h"
#include "interpose/python/code.h"
#include "interpose/python/layout.h"
#include "interpose/thread.h"

namespace memtrace::python {

// Reads frames of one layout; everything folds to constants.
template <const Layout& L>
struct Frames {
  static const char* Innermost(const char* tstate) {
    const char* p = Load<const char*>(tstate + L.thread_frame);
    if constexpr (L.cframe_frame >= 0) {
      if (p != nullptr) p = Load<const char*>(p + L.cframe_frame);
    }
    return p;
  }
  static const char* Previous(const char* frame) {
    return Load<const char*>(frame + L.frame_previous);
  }
  // The code object as the frame holds it: from 3.14 with tag bits.
  static const char* Code(const char* frame) {
    const auto raw = Load<uintptr_t>(frame + L.frame_code);
    if constexpr (L.version >= 0x30e) return reinterpret_cast<const char*>(raw & ~uintptr_t{3});
    return reinterpret_cast<const char*>(raw);
  }
  static uint64_t Instruction(const char* frame) {
    if constexpr (L.index_scale != 0) {
      return static_cast<uint64_t>(static_cast<int64_t>(Load<int32_t>(frame + L.frame_ip)));
    } else {
      return Load<uint64_t>(frame + L.frame_ip);
    }
  }
  static bool IsShim(const char* frame) {
    if constexpr (L.frame_owner >= 0) {
      return Load<int8_t>(frame + L.frame_owner) >= kFirstShimOwner;
    }
    return false;
  }
  // Where C code has called the interpreter: from 3.12 on a frame of its own stands there.
  static bool IsEntry(const char* frame) {
    if constexpr (L.frame_entry >= 0) return Load<int8_t>(frame + L.frame_entry) != 0;
    return false;
  }
  // Byte offset into the bytecode; negative before the first instruction.
  static int Offset(const char* frame, const char* code, uint64_t instruction) {
    if constexpr (L.index_scale != 0) {
      return static_cast<int>(static_cast<int64_t>(instruction)) * L.index_scale;
    } else {
      const char* bytes = code + L.code_bytes;
      if constexpr (L.code_tlbc >= 0) bytes = LocalBytecode(frame, code, bytes);
      return static_cast<int>(static_cast<int64_t>(instruction) - reinterpret_cast<int64_t>(bytes));
    }
  }
  // Free-threaded 3.14: each thread may run a copy; entry 0 is the code object's own bytecode.
  static const char* LocalBytecode(const char* frame, const char* code, const char* main) {
    const auto index = Load<int32_t>(frame + L.frame_tlbc_index);
    const char* table = Load<const char*>(code + L.code_tlbc);
    if (table == nullptr || index < 0 || index >= Load<int64_t>(table)) return main;
    const char* copy = Load<const char*>(table + 8 + 8 * index);
    return copy != nullptr ? copy : main;
  }
  // A frame that has not reached its first traceable instruction is not shown by CPython either.
  static bool IsIncomplete(const char* frame, const char* code, int offset) {
    if constexpr (L.code_first_traceable >= 0) {
      return Load<int8_t>(frame + L.frame_owner) != kOwnedByGenerator &&
             offset < 2 * Load<int32_t>(code + L.code_first_traceable);
    }
    return false;
  }
};

inline constexpr uint64_t kObj = 1;  // the domain in NodeCacheEntry::key
inline constexpr uint64_t kMaxKeyOffset = 1u << 20;
inline constexpr uint32_t kMaxKeyCode = 1u << 20;

inline uint64_t KeyOf(uint32_t parent, uint32_t code_id) {
  return static_cast<uint64_t>(parent) << 40 | static_cast<uint64_t>(code_id) << 20;
}

inline NodeCacheEntry* SetOf(Thread* t, uint64_t key) {
  return t->nodes + (key * 0x9e3779b97f4a7c15ull >> 40) % Thread::kNodeSets * 2;
}
// The entry, when it is there and has a site.
MEMTRACE_HOT NodeCacheEntry* KnownSite(Thread* t, uint64_t key) {
  NodeCacheEntry* entry = SetOf(t, key);
  if (entry->key != key) entry++;
  if (__builtin_expect(entry->key != key || entry->site == 0, 0)) return nullptr;
  t->site_place = &entry->site;
  return entry;
}

// Zero when a kept frame, known to be alive, is where it was.
template <const Layout& L>
inline uint64_t Moved(const Thread* t, const KeptFrame* kept, const char* frame) {
  // An address names its code object; an index does not, nor does a copy of the bytecode.
  constexpr bool kNamesCode = L.index_scale == 0 && L.code_tlbc < 0;
  uint64_t moved = Frames<L>::Instruction(frame) ^ kept->ip;
  if constexpr (!kNamesCode) {
    moved |= reinterpret_cast<uint64_t>(Frames<L>::Code(frame)) ^
             reinterpret_cast<uint64_t>(t->info[kept - t->kept].code);
  }
  return moved;
}
template <const Layout& L>
inline bool IsAt(const Thread* t, const KeptFrame* kept) {
  return Moved<L>(t, kept, kept->frame) == 0;
}

// Whether `frame` is the innermost kept one and its callers are where they were.
template <const Layout& L>
MEMTRACE_HOT bool CallersSettled(const Thread* t, const char* frame) {
  const KeptFrame* kept = t->top;
  if (__builtin_expect(kept->frame != frame, 0) ||
      __builtin_expect(t->seen_stale != g_stale.load(std::memory_order_acquire), 0)) {
    return false;
  }
  const char* caller = kept[-1].frame;
  if (__builtin_expect(Frames<L>::Previous(frame) != caller, 0)) return false;
  // A frame may be read because the one before has named it as its caller; whether it has moved on
  // can wait till the end. So the loads of all frames run ahead of the comparisons.
  uint64_t moved = 0;
  while (caller != nullptr) {
    kept--;
    moved |= Moved<L>(t, kept, caller);
    const char* next = kept[-1].frame;
    if (__builtin_expect(Frames<L>::Previous(caller) != next, 0)) return false;
    caller = next;
  }
  return __builtin_expect(moved == 0, 1);
}

// The site when the callers are where they were and the innermost frame has been at this
// instruction before; 0: take the slow way. which: kPythonMem (0) or kPythonObj (1).
template <const Layout& L>
MEMTRACE_HOT uint32_t FastSite(Thread* t, const char* tstate, uint32_t which) {
  const char* frame = Frames<L>::Innermost(tstate);
  if (__builtin_expect(frame == nullptr, 0) || __builtin_expect(!CallersSettled<L>(t, frame), 0)) {
    return 0;
  }
  FrameInfo* info = t->top_info;
  const uint64_t ip = Frames<L>::Instruction(frame);
  const char* code = Frames<L>::Code(frame);
  if (__builtin_expect(code != info->code, 0)) return 0;
  if (ip == t->top->ip && info->sites[which] != 0) return info->sites[which];
  const auto offset = static_cast<uint32_t>(Frames<L>::Offset(frame, code, ip));
  if (__builtin_expect(offset >= kMaxKeyOffset, 0)) return 0;
  // A frame without a key has no entry: its parent and code are zero, and no entry's are.
  const uint64_t key = info->key | offset | which;
  const NodeCacheEntry* entry = KnownSite(t, key);
  if (__builtin_expect(entry == nullptr, 0)) return 0;
  const uint32_t site = entry->site;
  t->top->ip = ip;
  info->node = entry->node;
  info->sites[which ^ 1] = 0;
  info->sites[which] = site;
  return site;
}

// The node, likewise; kNoNode: take the slow way.
inline constexpr uint32_t kNoNode = ~0u;
template <const Layout& L>
MEMTRACE_HOT uint32_t FastNode(Thread* t, const char* tstate) {
  const char* frame = Frames<L>::Innermost(tstate);
  if (__builtin_expect(frame == nullptr, 0) || __builtin_expect(!CallersSettled<L>(t, frame), 0)) {
    return kNoNode;
  }
  FrameInfo* info = t->top_info;
  const uint64_t ip = Frames<L>::Instruction(frame);
  const char* code = Frames<L>::Code(frame);
  if (__builtin_expect(code != info->code, 0)) return kNoNode;
  if (ip == t->top->ip) return info->node;
  const auto offset = static_cast<uint32_t>(Frames<L>::Offset(frame, code, ip));
  if (__builtin_expect(offset >= kMaxKeyOffset, 0)) return kNoNode;
  const uint64_t key = info->key | offset | kObj;
  const NodeCacheEntry* entry = SetOf(t, key);
  if (entry->key != key) entry++;
  if (__builtin_expect(entry->key != key, 0)) return kNoNode;
  t->top->ip = ip;
  info->node = entry->node;
  info->sites[0] = info->sites[1] = 0;
  return entry->node;
}

}  // namespace memtrace::python

#endif  // MEMTRACE_INTERPOSE_PYTHON_CAPTURE_H_
