// Validated incremental unwinding: the thread keeps its last native stack, and of the present one
// only the frames that are new are unwound.
//
// A stack is followed from the innermost frame outwards by the rules of cfi.h, kept by address of
// code. As soon as it reaches a place where the kept stack had the same return address (and, where
// it matters for what follows, the same rbp), all kept places farther out are compared with what is
// stored there now. They are read one after the other, each only when all before it are as they
// were: then the present stack leads there, too, so it is mapped and it is a return address. One
// that differs ends the kept stack there, and unwinding goes on. So longjmp, exceptions, stacks
// that are switched or copied and threads that reuse a stack need no care of their own: nothing is
// believed that has not been compared.
//
// Programs take a few ways from the same frame again and again. So the ends of stacks that had to
// be unwound are kept as well, by where they begin: such a tail is compared like the kept stack,
// which it has joined.
//
// What is compared: each return address in its slot; and each saved rbp from whose value a frame
// farther out is found (-O0, alloca, frame pointers), in the slot it was loaded from.
//
// Stacks that pass through a signal frame are unwound each time and not kept. Where a rule is not
// one of cfi.h's kinds the stack is left to the backend.
//
// Threading: a NativeStack belongs to its thread. The caller has marked the thread busy.

#ifndef MEMTRACE_INTERPOSE_UNWIND_INCREMENTAL_H_
#define MEMTRACE_INTERPOSE_UNWIND_INCREMENTAL_H_

#include <cstdint>

#include "core/layout.h"
#include "interpose/hot.h"
#include "interpose/unwind/cfi.h"
#include "interpose/unwind/unwind.h"

namespace memtrace {
struct Thread;
}

namespace memtrace::unwind {

// What is known of an instruction that a stack passes through.
struct Code {
  Rule rule;
  uint32_t frame;  // of the site tree; 0: not shown
  uint32_t extra;  // another one inside of it: where Python's frames belong; 0: none
};
struct CodeEntry {
  uintptr_t key;  // address << 1 | whether it is exact (interrupted there) and not a return address
  Code code;
};

// A place on the stack and what was stored there.
struct Kept {
  const uintptr_t* at;
  uintptr_t value;
};
struct KeptInfo {
  uintptr_t bp;   // rbp in this frame
  uint32_t node;  // of kNativeNodes
  bool is_frame;  // otherwise a saved rbp of the frame before
  bool needs_bp;  // frames farther out are found from rbp
};

struct ChildEntry {
  uint32_t parent;
  uint32_t frame;  // 0: empty
  uint32_t node;
};

// The way from a call of a hook to where it met the kept stack.
struct Tail {
  static constexpr uint32_t kMaxEntries = 13;

  uintptr_t pc;         // where it begins; 0: empty
  const uintptr_t* at;  // where pc is stored
  uintptr_t bp;         // there; compared if needs_bp
  uint32_t hint;        // of the caller of FollowStack
  uint32_t node;
  const uintptr_t* join_at;  // the kept entry that it met
  uintptr_t join_value;
  uint32_t join_node;
  uint32_t join_count;  // kept entries up to there
  uint32_t count;
  uint16_t is_frame;  // bit by entry: not a saved rbp
  bool needs_bp;
  Kept entries[kMaxEntries];  // from inside outwards, without the first frame
};

struct NativeStack {
  static constexpr uint32_t kMaxKept = 1u << 17;   // entries
  static constexpr uint32_t kMaxFresh = 1u << 16;  // frames: deeper stacks are cut
  static constexpr uint32_t kCodes = 8192;
  static constexpr uint32_t kChildren = 4096;
  static constexpr uint32_t kTails = 512;

  struct Fresh {
    const uintptr_t* at;     // where the return address is stored
    const uintptr_t* bp_at;  // where rbp was loaded from, nullptr: still in the register
    uintptr_t pc;
    uintptr_t bp;
    Code code;  // a copy: frames farther out may take its place in the table
  };

  uint32_t count;         // kept entries, outermost first
  uint32_t last_fresh;    // entries of `fresh` that the last walk made
  const Tail* last_tail;  // the last stack was this tail and what it joined
  bool last_followed;     // the last stack was followed by rules
  bool last_cut;          // and ended early
  bool last_through_signal;
  uint32_t seen_modules;  // g_modules_changed when the tables were last valid
  // A part of the stack that is mapped for certain: it has been walked.
  uintptr_t low;
  uintptr_t high;
  Tail tails[kTails];
  CodeEntry codes[kCodes];
  ChildEntry children[kChildren];
  Addresses addresses;  // for backends
  Addresses compared;   // for the check
  Kept kept[kMaxKept];
  KeptInfo info[kMaxKept];
  Fresh fresh[kMaxFresh];
  // Native node -> a site there: site, Python node << 24, domain << 48.
  alignas(4096) uint64_t sites[kMaxNativeNodes];
};

inline uint64_t Spread(uint64_t key) { return key * 0x9e3779b97f4a7c15ull >> 40; }

// Compares the kept entries before `end` with what is stored there now, from inside outwards. The
// number of the innermost that is not the same, plus 1; 0: all are.
inline uint32_t FirstChanged(const NativeStack* s, uint32_t end) {
  const Kept* k = s->kept + end;
#pragma GCC unroll 4
  while (k != s->kept) {
    k--;
    if (__builtin_expect(*k->at != k->value, 0)) return static_cast<uint32_t>(k - s->kept) + 1;
  }
  return 0;
}

inline Tail* TailOf(NativeStack* s, uintptr_t pc, const uintptr_t* at, uint32_t hint) {
  const uint64_t key = pc ^ reinterpret_cast<uintptr_t>(at) << 20 ^ uint64_t { hint } << 40;
  return s->tails + Spread(key) % NativeStack::kTails;
}

// Whether the present stack is the tail and what it joined.
inline bool IsTail(const NativeStack* s, const Tail* tail, const Place& from, const uintptr_t* at,
                   uint32_t hint) {
  if (tail->pc != from.pc || tail->at != at || tail->hint != hint ||
      (tail->needs_bp && tail->bp != from.bp) || tail->join_count > s->count) {
    return false;
  }
  const uint32_t join = tail->join_count - 1;
  if (s->kept[join].at != tail->join_at || s->kept[join].value != tail->join_value ||
      s->info[join].node != tail->join_node) {
    return false;
  }
  for (uint32_t i = 0; i < tail->count; i++) {
    if (__builtin_expect(*tail->entries[i].at != tail->entries[i].value, 0)) return false;
  }
  return FirstChanged(s, tail->join_count) == 0;
}

// One more stack that ends before its outermost frame.
void CountCut();

// The thread has ended; another one takes it over.
inline void Leave(NativeStack* s) {
  s->count = 0;
  s->low = s->high = 0;
}

// The same as FollowStack for a stack that is not a known tail.
uint32_t WalkStack(Thread* t, NativeStack* s, const Place& from, const uintptr_t* at, uint32_t hint,
                   const Backend* fallback);

// The node of the stack of a call that returns to from.pc, an address that is stored at `at`.
// hint: events of the same hint are likely to have the same stack. modules: g_modules_changed.
// fallback: for what cannot be followed by rules, nullptr: cut there.
MEMTRACE_HOT uint32_t FollowStack(Thread* t, NativeStack* s, const Place& from, const uintptr_t* at,
                                  uint32_t hint, uint32_t modules, const Backend* fallback) {
  const Tail* tail = TailOf(s, from.pc, at, hint);
  if (__builtin_expect(s->seen_modules == modules && IsTail(s, tail, from, at, hint), 1)) {
    if (__builtin_expect(s->last_cut, 0)) CountCut();
    s->last_tail = tail;
    s->last_through_signal = false;
    return tail->node;
  }
  return WalkStack(t, s, from, at, hint, fallback);
}

// Asks a backend for at most kMaxFrames. What it allocates and frees is not the program's.
int Ask(Thread* t, const Backend& backend, const Place& from, uintptr_t* addresses, bool* cut);

// The same for addresses from elsewhere, innermost first. cut: frames farther out are missing.
uint32_t NodeOfAddresses(Thread* t, NativeStack* s, const uintptr_t* addresses, int count,
                         bool cut);

}  // namespace memtrace::unwind

#endif  // MEMTRACE_INTERPOSE_UNWIND_INCREMENTAL_H_
