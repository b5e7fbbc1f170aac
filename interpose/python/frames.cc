#include "interpose/python/frames.h"

#include <errno.h>

#include "interpose/python/code.h"
#include "interpose/recorder.h"
#include "interpose/site_tree.h"
#include "interpose/stack.h"

namespace memtrace::python {

constinit Reader g_reader;

namespace {

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

// -------------------------------------------------------------------------------------------------
// One frame

constexpr uint64_t kObj = 1;  // the domain in NodeCacheEntry::key
constexpr uint64_t kMaxKeyOffset = 1u << 20;
constexpr uint32_t kMaxKeyCode = 1u << 20;

uint64_t KeyOf(uint32_t parent, uint32_t code_id) {
  return static_cast<uint64_t>(parent) << 40 | static_cast<uint64_t>(code_id) << 20;
}

NodeCacheEntry* SetOf(Thread* t, uint64_t key) {
  return t->nodes + (key * 0x9e3779b97f4a7c15ull >> 40) % Thread::kNodeSets * 2;
}

// What follows has to be looked up in the tree: the node of a frame under its caller's.
template <const Layout& L>
__attribute__((noinline)) uint32_t NodeSlow(Thread* t, uint32_t parent, uint32_t code_id,
                                            const char* frame, const char* code, int offset) {
  if (Frames<L>::IsIncomplete(frame, code, offset)) return parent;
  const int saved_errno = errno;
  uint32_t id = FindInstruction(code_id, static_cast<uint32_t>(offset));
  if (id == 0) {
    LineCursor* cursor = &t->lines[code_id % Thread::kLineCursors];
    if (cursor->code != code_id) *cursor = {code_id, 0, -1, 0};
    id = InternFrame(FrameKind::kPython, code_id, LineOf(L, code, offset, cursor), 0);
    if (id != 0) KeepInstruction(code_id, static_cast<uint32_t>(offset), id);
  }
  const uint32_t node = id != 0 ? InternNode(parent, id) : 0;
  errno = saved_errno;
  return node != 0 ? node : parent;  // region full: the caller's node is the best there is
}

// Puts a new entry first in its set.
NodeCacheEntry* Keep(NodeCacheEntry* set, uint64_t key, uint32_t node) {
  set[1] = set[0];
  set[0] = {key, node, 0};
  return set;
}

// The cache's entry for a frame at an instruction, in one of Python's domains; made if it is not
// there. nullptr: cannot be cached; then *node is all there is.
template <const Layout& L>
inline NodeCacheEntry* Lookup(Thread* t, const FrameInfo& info, uint32_t parent, const char* frame,
                              uint64_t ip, uint64_t domain, uint32_t* node) {
  const int offset = Frames<L>::Offset(frame, info.code, ip);
  if (__builtin_expect(static_cast<uint32_t>(offset) >= kMaxKeyOffset || info.key == 0, 0)) {
    *node =
        info.code_id == 0 ? parent : NodeSlow<L>(t, parent, info.code_id, frame, info.code, offset);
    return nullptr;
  }
  const uint64_t key = info.key | static_cast<uint32_t>(offset) | domain;
  NodeCacheEntry* set = SetOf(t, key);
  if (__builtin_expect(set[0].key != key, 0)) {
    if (set[1].key == key) {
      set++;
    } else {
      // The other domain's entry may know the node.
      const NodeCacheEntry* other = SetOf(t, key ^ kObj);
      uint32_t found;
      if (other[0].key == (key ^ kObj)) {
        found = other[0].node;
      } else if (other[1].key == (key ^ kObj)) {
        found = other[1].node;
      } else {
        found = NodeSlow<L>(t, parent, info.code_id, frame, info.code, offset);
      }
      Keep(set, key, found);
    }
  }
  *node = set->node;
  return set;
}

// What is known of a frame that has just been met under `parent`, or whose caller's node changed.
template <const Layout& L>
void Learn(Thread* t, uint32_t at, const char* frame, const char* code, uint32_t parent) {
  FrameInfo& info = t->info[at];
  if (at > t->known_frames || info.code != code) {
    info.code = code;
    info.code_id = Frames<L>::IsShim(frame) ? 0 : CodeId(t, L, code);
    if (at == t->known_frames + 1) t->known_frames = at;
  } else if (info.code_id == 0 && !Frames<L>::IsShim(frame)) {
    info.code_id = CodeId(t, L, code);
  }
  const bool short_id = info.code_id != 0 && info.code_id < kMaxKeyCode;
  info.key = short_id ? KeyOf(parent, info.code_id) : 0;
}

// Looks the kept frame up where it is now.
template <const Layout& L>
void Place(Thread* t, uint32_t at, uint64_t ip) {
  FrameInfo& info = t->info[at];
  t->kept[at].ip = ip;
  info.sites[0] = info.sites[1] = 0;
  Lookup<L>(t, info, t->info[at - 1].node, t->kept[at].frame, ip, kObj, &info.node);
}

// -------------------------------------------------------------------------------------------------
// The stack

uint32_t FrameHash(const char* frame) {
  return static_cast<uint32_t>((reinterpret_cast<uint64_t>(frame) >> 3) * 0x9e3779b97f4a7c15ull >>
                               40) %
         Thread::kFrameHash;
}

// Index of a frame in the kept stack, if it is there below `limit`; 0: it is not.
inline uint32_t Kept(const Thread* t, const char* frame, uint32_t limit) {
  if (t->kept[limit].frame == frame) return limit;
  const uint32_t at = t->frame_at[FrameHash(frame)];
  return at <= limit && t->kept[at].frame == frame ? at : 0;
}

// Whether a kept frame, known to be alive, is where it was.
template <const Layout& L>
inline bool IsAt(const Thread* t, const KeptFrame* kept) {
  if (Frames<L>::Instruction(kept->frame) != kept->ip) return false;
  // An address names its code object; an index does not, nor does a copy of the bytecode.
  constexpr bool kNamesCode = L.index_scale == 0 && L.code_tlbc < 0;
  return kNamesCode || Frames<L>::Code(kept->frame) == t->info[kept - t->kept].code;
}
template <const Layout& L>
inline bool Settled(const Thread* t, uint32_t at) {
  return IsAt<L>(t, t->kept + at);
}

// Compares the kept frames at..1 with what they are now. Returns the outermost that has moved on
// (at + 1: none). 0: the caller of kept frame *broken has changed.
//
// Each frame is known to be alive when it is read, because the one before named it as its caller.
template <const Layout& L>
uint32_t Verify(const Thread* t, uint32_t at, uint32_t* broken) {
  uint32_t moved = at + 1;
  for (uint32_t i = at; i > 0; i--) {
    if (!Settled<L>(t, i)) moved = i;
    if (Frames<L>::Previous(t->kept[i].frame) != t->kept[i - 1].frame) {
      *broken = i;
      return 0;
    }
  }
  return moved;
}

// Looks kept frames up again from `moved` on; one whose node stays leaves those above it alone.
template <const Layout& L>
void Refresh(Thread* t, uint32_t moved, uint32_t top) {
  bool parent_changed = false;
  for (uint32_t i = moved; i <= top; i++) {
    const char* frame = t->kept[i].frame;
    if (!parent_changed && Settled<L>(t, i)) continue;
    const uint32_t before = t->info[i].node;
    Learn<L>(t, i, frame, Frames<L>::Code(frame), t->info[i - 1].node);
    Place<L>(t, i, Frames<L>::Instruction(frame));
    parent_changed = t->info[i].node != before;
  }
}

void SetTop(Thread* t) {
  t->top = t->kept + t->frame_count;
  t->top_info = t->info + t->frame_count;
}

template <const Layout& L>
void Push(Thread* t, const char* frame) {
  const uint32_t at = ++t->frame_count;
  t->kept[at].frame = frame;
  t->frame_at[FrameHash(frame)] = static_cast<uint16_t>(at);
  Learn<L>(t, at, frame, Frames<L>::Code(frame), t->info[at - 1].node);
  Place<L>(t, at, Frames<L>::Instruction(frame));
}

// Joins the stack that ends in `frame` to the kept one: sets frame_count to what is kept, and puts
// frames that are not into t->fresh, innermost first. Returns how many.
template <const Layout& L>
uint32_t Join(Thread* t, const char* frame) {
  uint32_t fresh = 0, limit = t->frame_count;
  for (; frame != nullptr && fresh < Thread::kMaxFrames; frame = Frames<L>::Previous(frame)) {
    const uint32_t at = Kept(t, frame, limit);
    if (at == 0) {
      t->fresh[fresh++] = frame;
      continue;
    }
    uint32_t broken = 0;
    const uint32_t moved = Verify<L>(t, at, &broken);
    if (moved != 0) {
      if (moved <= at) Refresh<L>(t, moved, at);
      t->frame_count = at;
      return fresh;
    }
    // A generator, say, resumed by someone else: its caller is new, what is above it is not known.
    for (uint32_t i = at; i >= broken && fresh < Thread::kMaxFrames; i--) {
      t->fresh[fresh++] = t->kept[i].frame;
    }
    frame = t->kept[broken].frame;
    limit = broken - 1;
  }
  if (frame != nullptr) {
    g_region.header()->flags.fetch_or(kFlagStacksTruncated, std::memory_order_relaxed);
  }
  t->frame_count = 0;
  return fresh;
}

// Most often a call has been made since, or has returned, or both: the stack joins the kept one at
// its innermost frame or the one before. Index of that frame, 0: it is not as simple. *fresh:
// `frame` itself is new there.
template <const Layout& L>
inline uint32_t NearJoin(const Thread* t, const char* frame, bool* fresh) {
  const uint32_t count = t->frame_count;
  if (count < 2) return 0;
  *fresh = false;
  if (frame == t->top[0].frame) return count;
  if (frame == t->top[-1].frame) return count - 1;
  *fresh = true;
  const char* caller = Frames<L>::Previous(frame);
  if (caller == t->top[0].frame) return count;
  if (caller == t->top[-1].frame) return count - 1;
  return 0;
}

template <const Layout& L>
inline bool RejoinNear(Thread* t, const char* frame) {
  bool fresh;
  const uint32_t at = NearJoin<L>(t, frame, &fresh);
  uint32_t broken = 0;
  const uint32_t moved = at != 0 ? Verify<L>(t, at, &broken) : 0;
  if (moved == 0 || (fresh && at + 1 >= Thread::kMaxFrames)) return false;
  if (moved <= at) Refresh<L>(t, moved, at);
  t->frame_count = at;
  if (fresh) Push<L>(t, frame);
  SetTop(t);
  return true;
}

// Makes the kept stack the one that ends in `frame`; one deeper than can be kept loses its
// innermost frames' names.
template <const Layout& L>
__attribute__((noinline)) void Rejoin(Thread* t, const char* frame) {
  const uint32_t stale = g_stale.load(std::memory_order_acquire);
  if (t->seen_stale != stale) {
    t->seen_stale = stale;
    t->frame_count = t->known_frames = 0;
  }
  if (RejoinNear<L>(t, frame)) return;
  uint32_t fresh = Join<L>(t, frame);
  while (fresh > 0 && t->frame_count + 1 < Thread::kMaxFrames) Push<L>(t, t->fresh[--fresh]);
  SetTop(t);
}

// Whether `frame` is the innermost kept one and its callers are where they were.
template <const Layout& L>
__attribute__((always_inline)) inline bool CallersSettled(const Thread* t, const char* frame) {
  const KeptFrame* kept = t->top;
  if (__builtin_expect(kept->frame != frame, 0) ||
      __builtin_expect(t->seen_stale != g_stale.load(std::memory_order_acquire), 0)) {
    return false;
  }
  for (;;) {
    const char* caller = kept[-1].frame;
    if (__builtin_expect(Frames<L>::Previous(frame) != caller, 0)) return false;
    if (caller == nullptr) return true;
    kept--;
    frame = caller;
    if (__builtin_expect(!IsAt<L>(t, kept), 0)) return false;
  }
}

// Brings the kept stack up to date with the one that ends in `frame`.
template <const Layout& L>
inline void Follow(Thread* t, const char* frame) {
  if (!CallersSettled<L>(t, frame)) {
    Rejoin<L>(t, frame);
  } else if (!IsAt<L>(t, t->top)) {
    if (Frames<L>::Code(frame) == t->top_info->code) {
      Place<L>(t, t->frame_count, Frames<L>::Instruction(frame));
    } else {
      Rejoin<L>(t, frame);
    }
  }
}

// Whole stacks. The kept stack starts at index 1; entry 0 stays empty: no frame, the root's node.
template <const Layout& L>
uint32_t WholeNode(Thread* t, const char* tstate) {
  const char* frame = Frames<L>::Innermost(tstate);
  if (__builtin_expect(frame == nullptr, 0)) return 0;
  Follow<L>(t, frame);
  return t->top_info->node;
}

inline Domain DomainOf(uint32_t which) {
  return which == 0 ? Domain::kPythonMem : Domain::kPythonObj;
}

// The site of the innermost kept frame, when it is not known yet.
__attribute__((noinline)) uint32_t SiteOfTop(Thread* t, uint32_t which) {
  const int saved_errno = errno;
  const uint32_t site = InternPythonSite(t, t->top_info->node, DomainOf(which));
  t->top_info->sites[which] = site;
  errno = saved_errno;
  return site;
}

template <const Layout& L>
__attribute__((noinline)) uint32_t WholeSiteSlow(Thread* t, const char* tstate, uint32_t which) {
  const char* frame = Frames<L>::Innermost(tstate);
  if (frame == nullptr) return FindSite(t, 0, DomainOf(which), 0);
  Follow<L>(t, frame);
  if (t->top_info->sites[which] != 0) return t->top_info->sites[which];
  const uint32_t site = SiteOfTop(t, which);
  // For the fast way to find it.
  uint32_t node;
  NodeCacheEntry* entry =
      Lookup<L>(t, *t->top_info, t->top_info[-1].node, frame, t->top->ip, which, &node);
  if (entry != nullptr) {
    entry->site = site;
    t->site_place = &entry->site;
  }
  return site;
}

// The innermost frame mostly stays, and goes on to another instruction. No call is made here but in
// place of the return, so no register has to be kept.
template <const Layout& L>
uint32_t WholeSite(Thread* t, const char* tstate, uint32_t which) {
  const char* frame = Frames<L>::Innermost(tstate);
  if (__builtin_expect(frame == nullptr, 0) || __builtin_expect(!CallersSettled<L>(t, frame), 0)) {
    return WholeSiteSlow<L>(t, tstate, which);
  }
  FrameInfo* info = t->top_info;
  const uint64_t ip = Frames<L>::Instruction(frame);
  const char* code = Frames<L>::Code(frame);
  if (ip == t->top->ip && code == info->code && info->sites[which] != 0) return info->sites[which];
  const auto offset = static_cast<uint32_t>(Frames<L>::Offset(frame, code, ip));
  const uint64_t key = info->key | offset | which;
  NodeCacheEntry* entry = SetOf(t, key);
  if (entry->key != key) entry++;
  if (__builtin_expect(code != info->code || info->key == 0 || offset >= kMaxKeyOffset, 0) ||
      __builtin_expect(entry->key != key || entry->site == 0, 0)) {
    return WholeSiteSlow<L>(t, tstate, which);
  }
  const uint32_t site = entry->site;
  t->top->ip = ip;
  info->node = entry->node;
  info->sites[which ^ 1] = 0;
  info->sites[which] = site;
  t->site_place = &entry->site;
  return site;
}

// -------------------------------------------------------------------------------------------------
// The innermost g_depth frames only: looked up anew each time, the cache does the rest. Of the kept
// frames' places the first g_depth are used, for what is known of a frame.

constinit uint32_t g_depth = 0;

template <const Layout& L>
uint32_t Innermost(Thread* t, const char* tstate) {
  uint32_t n = 0;
  for (const char* frame = Frames<L>::Innermost(tstate); frame != nullptr && n < g_depth;
       frame = Frames<L>::Previous(frame)) {
    if (Frames<L>::IsShim(frame)) continue;
    // An incomplete frame would use up the depth without being shown.
    const char* code = Frames<L>::Code(frame);
    if (Frames<L>::IsIncomplete(frame, code,
                                Frames<L>::Offset(frame, code, Frames<L>::Instruction(frame)))) {
      continue;
    }
    t->fresh[n++] = frame;
  }
  return n;
}

template <const Layout& L>
uint32_t LimitedNode(Thread* t, const char* tstate) {
  const uint32_t stale = g_stale.load(std::memory_order_acquire);
  if (__builtin_expect(t->seen_stale != stale, 0)) {
    t->seen_stale = stale;
    t->known_frames = 0;
  }
  uint32_t n = Innermost<L>(t, tstate);
  t->frame_count = 0;
  while (n > 0 && t->frame_count + 1 < Thread::kMaxFrames) {
    const char* frame = t->fresh[--n];
    const uint32_t at = ++t->frame_count;
    const char* code = Frames<L>::Code(frame);
    const uint64_t ip = Frames<L>::Instruction(frame);
    const bool same = at <= t->known_frames && t->kept[at].frame == frame &&
                      t->info[at].code == code &&
                      t->info[at].key == KeyOf(t->info[at - 1].node, t->info[at].code_id);
    if (same && t->kept[at].ip == ip) continue;
    t->kept[at].frame = frame;
    if (!same) Learn<L>(t, at, frame, code, t->info[at - 1].node);
    Place<L>(t, at, ip);
  }
  SetTop(t);
  return t->top_info->node;
}

template <const Layout& L>
uint32_t LimitedSite(Thread* t, const char* tstate, uint32_t which) {
  const uint32_t node = LimitedNode<L>(t, tstate);
  if (t->frame_count == 0) return FindSite(t, node, DomainOf(which), 0);
  const uint32_t site = t->info[t->frame_count].sites[which];
  return site != 0 ? site : SiteOfTop(t, which);
}

template <int... I>
struct Indices {};

template <int N, int... I>
struct MakeIndices : MakeIndices<N - 1, N - 1, I...> {};
template <int... I>
struct MakeIndices<0, I...> {
  using type = Indices<I...>;
};

template <int... I>
Capture Pick(int index, bool limited, Indices<I...>) {
  const Capture whole[] = {{&WholeNode<kLayouts[I]>, &WholeSite<kLayouts[I]>}...};
  const Capture some[] = {{&LimitedNode<kLayouts[I]>, &LimitedSite<kLayouts[I]>}...};
  return limited ? some[index] : whole[index];
}

}  // namespace

Capture ChooseCapture(const Layout* layout, uint32_t depth) {
  g_depth = depth < Thread::kMaxFrames ? depth : Thread::kMaxFrames;
  return Pick(static_cast<int>(layout - kLayouts), depth > 0,
              typename MakeIndices<kLayoutCount>::type{});
}

}  // namespace memtrace::python
