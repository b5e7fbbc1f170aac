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

// Node of a frame under its caller's node. *code_id: 0 when it is not known yet, or the frame is
// not shown. *entry: where the node is cached, kNoEntry for a frame that is not shown.
template <const Layout& L>
uint32_t NodeOf(Thread* t, uint32_t parent, const char* frame, const char* code,
                uint64_t instruction, uint32_t* code_id_io, uint32_t* entry) {
  *entry = Thread::kNoEntry;
  if (*code_id_io == 0) {
    if (Frames<L>::IsShim(frame)) return parent;
    *code_id_io = CodeId(t, L, code);
    if (*code_id_io == 0) return parent;
  }
  const uint32_t code_id = *code_id_io;
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

uint32_t FrameHash(const char* frame) {
  return static_cast<uint32_t>((reinterpret_cast<uint64_t>(frame) >> 3) * 0x9e3779b97f4a7c15ull >>
                               40) %
         Thread::kFrameHash;
}

// Index of a frame in the kept stack, if it is there below `limit`; 0: it is not.
inline uint32_t Kept(const Thread* t, const char* frame, uint32_t limit) {
  if (t->frames[limit].frame == frame) return limit;
  const uint32_t at = t->frame_at[FrameHash(frame)];
  return at <= limit && t->frames[at].frame == frame ? at : 0;
}

// Compares the kept frames at..1 with what they are now. Returns the outermost that has moved on
// (at + 1: none). 0: the caller of kept frame *broken has changed.
//
// Each frame is known to be alive when it is read, because the one before named it as its caller.
template <const Layout& L>
inline uint32_t Verify(const Thread* t, uint32_t at, uint32_t* broken) {
  const CachedFrame* kept = t->frames + at;
  const CachedFrame* moved = kept + 1;
  const char* frame = kept->frame;
  do {
    if (Frames<L>::Code(frame) != kept->code || Frames<L>::Instruction(frame) != kept->ip) {
      moved = kept;
    }
    const char* caller = kept[-1].frame;
    if (__builtin_expect(Frames<L>::Previous(frame) != caller, 0)) {
      *broken = static_cast<uint32_t>(kept - t->frames);
      return 0;
    }
    frame = caller;
    kept--;
  } while (frame != nullptr);
  return static_cast<uint32_t>(moved - t->frames);
}

// Looks kept frames up again from `moved` on; one whose node stays leaves those above it alone.
template <const Layout& L>
inline void Refresh(Thread* t, uint32_t moved, uint32_t top) {
  uint32_t parent = t->frames[moved - 1].node;
  bool parent_changed = false;
  for (uint32_t i = moved; i <= top; i++) {
    CachedFrame& kept = t->frames[i];
    const char* code = Frames<L>::Code(kept.frame);
    const uint64_t ip = Frames<L>::Instruction(kept.frame);
    if (parent_changed || kept.code != code || kept.ip != ip) {
      if (kept.code != code) kept.code_id = 0;
      const uint32_t node = NodeOf<L>(t, parent, kept.frame, code, ip, &kept.code_id, &kept.entry);
      parent_changed = node != kept.node;
      kept.code = code;
      kept.ip = ip;
      kept.node = node;
    }
    parent = kept.node;
  }
}

template <const Layout& L>
inline void Push(Thread* t, const char* frame) {
  const uint32_t at = ++t->frame_count;
  const char* code = Frames<L>::Code(frame);
  const uint64_t ip = Frames<L>::Instruction(frame);
  uint32_t code_id = 0, entry;
  const uint32_t node = NodeOf<L>(t, t->frames[at - 1].node, frame, code, ip, &code_id, &entry);
  t->frames[at] = {frame, code, ip, node, entry, code_id, 0};
  t->frame_at[FrameHash(frame)] = static_cast<uint16_t>(at);
}

// Joins the stack that ends in `frame` to the kept one: sets frame_count to what is kept, and puts
// frames that are not into t->fresh, innermost first. Returns how many.
template <const Layout& L>
__attribute__((noinline)) uint32_t Join(Thread* t, const char* frame) {
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
      t->fresh[fresh++] = t->frames[i].frame;
    }
    frame = t->frames[broken].frame;
    limit = broken - 1;
  }
  if (frame != nullptr) {
    g_region.header()->flags.fetch_or(kFlagStacksTruncated, std::memory_order_relaxed);
  }
  t->frame_count = 0;
  return fresh;
}

// Pushes what Join left; a stack deeper than can be kept loses its innermost frames' names.
template <const Layout& L>
__attribute__((noinline)) uint32_t Rejoin(Thread* t, const char* frame) {
  uint32_t fresh = Join<L>(t, frame);
  while (fresh > 0 && t->frame_count + 1 < Thread::kMaxFrames) Push<L>(t, t->fresh[--fresh]);
  const CachedFrame& top = t->frames[t->frame_count];
  t->top_entry = t->frame_count > 0 ? top.entry : Thread::kNoEntry;
  return top.node;
}

// Whole stacks. The kept stack starts at index 1; entry 0 stays empty: no frame, the root's node.
template <const Layout& L>
uint32_t Capture(Thread* t, const char* tstate) {
  const uint32_t stale = g_stale.load(std::memory_order_acquire);
  if (__builtin_expect(t->seen_stale != stale, 0)) {
    t->frame_count = 0;
    t->seen_stale = stale;
  }
  const char* frame = Frames<L>::Innermost(tstate);
  if (__builtin_expect(frame == nullptr, 0)) {
    t->top_entry = Thread::kNoEntry;
    return 0;
  }
  // By far the most often the same function is still running, its callers where they were.
  const uint32_t count = t->frame_count;
  CachedFrame& top = t->frames[count];
  if (__builtin_expect(top.frame != frame, 0)) return Rejoin<L>(t, frame);
  uint32_t broken = 0;
  const uint32_t moved = Verify<L>(t, count, &broken);
  if (__builtin_expect(moved == 0, 0)) return Rejoin<L>(t, frame);
  if (moved <= count) Refresh<L>(t, moved, count);
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
    uint32_t code_id = 0;
    node = NodeOf<L>(t, node, frame, Frames<L>::Code(frame), Frames<L>::Instruction(frame),
                     &code_id, &t->top_entry);
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
