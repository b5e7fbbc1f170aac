#include "interpose/python/frames.h"

#include <errno.h>

#include "interpose/python/code.h"
#include "interpose/recorder.h"
#include "interpose/site_tree.h"

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

template <const Layout& L>
__attribute__((noinline)) uint32_t NodeSlow(uint32_t parent, uint32_t code_id, const char* frame,
                                            const char* code, int offset) {
  if (Frames<L>::IsIncomplete(frame, code, offset)) return parent;
  const int saved_errno = errno;
  uint32_t id = FindInstruction(code_id, static_cast<uint32_t>(offset));
  if (id == 0) {
    id = InternFrame(FrameKind::kPython, code_id, LineOf(L, code, offset), 0);
    if (id != 0) KeepInstruction(code_id, static_cast<uint32_t>(offset), id);
  }
  const uint32_t node = id != 0 ? InternNode(parent, id) : 0;
  errno = saved_errno;
  return node != 0 ? node : parent;  // region full: the caller's node is the best there is
}

// Node of a frame under its caller's node. *entry: where it is cached, kNoEntry for one that is not
// shown. code_id: 0 when it is not known yet.
template <const Layout& L>
uint32_t NodeOf(Thread* t, uint32_t parent, const char* frame, const char* code, uint32_t code_id,
                uint64_t instruction, uint32_t* entry) {
  *entry = Thread::kNoEntry;
  if (code_id == 0) {
    if (Frames<L>::IsShim(frame)) return parent;
    code_id = CodeId(t, L, code);
    if (code_id == 0) return parent;
  }
  const int offset = Frames<L>::Offset(frame, code, instruction);
  const auto at = static_cast<uint32_t>(offset);
  uint64_t hash = (static_cast<uint64_t>(parent) << 32 | code_id) * 0x9e3779b97f4a7c15ull;
  hash ^= at * 0xc2b2ae3d27d4eb4full;
  const uint32_t set = static_cast<uint32_t>((hash >> 36) % Thread::kNodeSets * 2);
  for (uint32_t way = set; way < set + 2; way++) {
    const NodeCacheEntry& e = t->nodes[way];
    if (e.parent == parent && e.code == code_id && e.offset == at) {
      if (e.node != parent) *entry = way;  // else an incomplete frame: not one to learn from
      return e.node;
    }
  }
  const uint32_t node = NodeSlow<L>(parent, code_id, frame, code, offset);
  t->nodes[set + 1] = t->nodes[set];
  t->nodes[set] = {parent, code_id, at, node, {0, 0}, {0, 0}};
  if (node != parent) *entry = set;
  return node;
}

// Id of a kept frame's code object, if the cache still holds it.
inline uint32_t KeptCodeId(const Thread* t, const CachedFrame& kept, const char* code) {
  if (kept.entry == Thread::kNoEntry || kept.code != code) return 0;
  const NodeCacheEntry& e = t->nodes[kept.entry];
  return e.node == kept.node ? e.code : 0;
}

uint32_t FrameHash(const char* frame) {
  return static_cast<uint32_t>((reinterpret_cast<uint64_t>(frame) >> 3) * 0x9e3779b97f4a7c15ull >>
                               40) %
         Thread::kFrameHash;
}

constexpr uint32_t kNoFrame = ~0u;

// Index of a frame in the kept stack, if it is there below `limit`.
inline uint32_t Kept(const Thread* t, const char* frame, uint32_t limit) {
  if (limit > 0 && t->frames[limit - 1].frame == frame) return limit - 1;
  const uint32_t at = t->frame_at[FrameHash(frame)];
  return at < limit && t->frames[at].frame == frame ? at : kNoFrame;
}

// Compares the kept frames 0..top with what they are now. Returns the lowest that has moved on
// (top + 1: none), or kNoFrame with *broken set to a kept frame whose caller has changed.
template <const Layout& L>
inline uint32_t Verify(const Thread* t, uint32_t top, uint32_t* broken) {
  uint32_t moved = top + 1;
  for (uint32_t i = top + 1; i-- > 0;) {
    const CachedFrame& kept = t->frames[i];
    const char* caller = i > 0 ? t->frames[i - 1].frame : nullptr;
    const bool same = (Frames<L>::Code(kept.frame) == kept.code) &
                      (Frames<L>::Instruction(kept.frame) == kept.ip);
    moved = same ? moved : i;
    if (__builtin_expect(Frames<L>::Previous(kept.frame) != caller, 0)) {
      *broken = i;
      return kNoFrame;
    }
  }
  return moved;
}

// Looks kept frames up again from `moved` on; one whose node stays leaves those above it alone.
template <const Layout& L>
inline void Refresh(Thread* t, uint32_t moved, uint32_t top) {
  uint32_t parent = moved > 0 ? t->frames[moved - 1].node : 0;
  bool parent_changed = false;
  for (uint32_t i = moved; i <= top; i++) {
    CachedFrame& kept = t->frames[i];
    const char* code = Frames<L>::Code(kept.frame);
    const uint64_t ip = Frames<L>::Instruction(kept.frame);
    if (parent_changed || kept.code != code || kept.ip != ip) {
      const uint32_t code_id = KeptCodeId(t, kept, code);
      const uint32_t node = NodeOf<L>(t, parent, kept.frame, code, code_id, ip, &kept.entry);
      parent_changed = node != kept.node;
      kept.code = code;
      kept.ip = ip;
      kept.node = node;
    }
    parent = kept.node;
  }
}

template <const Layout& L>
void Push(Thread* t, const char* frame) {
  const uint32_t at = t->frame_count;
  const uint32_t parent = at > 0 ? t->frames[at - 1].node : 0;
  const char* code = Frames<L>::Code(frame);
  const uint64_t ip = Frames<L>::Instruction(frame);
  uint32_t entry;
  const uint32_t node = NodeOf<L>(t, parent, frame, code, 0, ip, &entry);
  t->frames[at] = {frame, code, ip, node, entry};
  t->frame_at[FrameHash(frame)] = static_cast<uint16_t>(at);
  t->frame_count = at + 1;
}

// Whole stacks.
template <const Layout& L>
uint32_t Capture(Thread* t, const char* tstate) {
  const uint32_t stale = g_stale.load(std::memory_order_acquire);
  if (__builtin_expect(t->seen_stale != stale, 0)) {
    t->frame_count = 0;
    t->seen_stale = stale;
  }
  const char* frame = Frames<L>::Innermost(tstate);
  uint32_t fresh = 0, limit = t->frame_count;
  while (frame != nullptr) {
    const uint32_t at = Kept(t, frame, limit);
    if (at != kNoFrame) {
      uint32_t broken = 0;
      const uint32_t moved = Verify<L>(t, at, &broken);
      if (moved != kNoFrame) {
        if (moved <= at) Refresh<L>(t, moved, at);
        t->frame_count = at + 1;
        break;
      }
      // A generator, say, resumed by someone else: its caller is new, what is above it is not
      // known.
      if (fresh + (at - broken) + 1 > Thread::kMaxFrames) break;
      for (uint32_t i = at + 1; i-- > broken;) t->fresh[fresh++] = t->frames[i].frame;
      frame = Frames<L>::Previous(t->frames[broken].frame);
      limit = broken;
      t->frame_count = 0;
      continue;
    }
    if (fresh == Thread::kMaxFrames) break;
    t->fresh[fresh++] = frame;
    frame = Frames<L>::Previous(frame);
  }
  if (frame == nullptr) t->frame_count = 0;
  if (t->frame_count + fresh > Thread::kMaxFrames) {
    g_region.header()->flags.fetch_or(kFlagStacksTruncated, std::memory_order_relaxed);
    t->frame_count = 0;
    fresh = fresh < Thread::kMaxFrames ? fresh : Thread::kMaxFrames;
  }
  while (fresh > 0) Push<L>(t, t->fresh[--fresh]);
  t->top_entry = Thread::kNoEntry;
  if (t->frame_count == 0) return 0;
  const CachedFrame& top = t->frames[t->frame_count - 1];
  t->top_entry = top.entry;
  return top.node;
}

// The innermost g_depth frames only: looked up anew each time, the caches do the rest.
constinit uint32_t g_depth = 0;

template <const Layout& L>
uint32_t CaptureLimited(Thread* t, const char* tstate) {
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
  uint32_t node = 0;
  t->top_entry = Thread::kNoEntry;
  while (n > 0) {
    const char* frame = t->fresh[--n];
    node = NodeOf<L>(t, node, frame, Frames<L>::Code(frame), 0, Frames<L>::Instruction(frame),
                     &t->top_entry);
  }
  return node;
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
CaptureFunction Pick(int index, bool limited, Indices<I...>) {
  CaptureFunction whole[] = {&Capture<kLayouts[I]>...};
  CaptureFunction some[] = {&CaptureLimited<kLayouts[I]>...};
  return limited ? some[index] : whole[index];
}

}  // namespace

CaptureFunction ChooseCapture(const Layout* layout, uint32_t depth) {
  g_depth = depth < Thread::kMaxFrames ? depth : Thread::kMaxFrames;
  return Pick(static_cast<int>(layout - kLayouts), depth > 0,
              typename MakeIndices<kLayoutCount>::type{});
}

}  // namespace memtrace::python
