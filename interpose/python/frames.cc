#include "interpose/python/frames.h"

#include <utility>

#include "interpose/live_table.h"
#include "interpose/python/capture.h"
#include "interpose/python/hooks.h"
#include "interpose/python/limited.h"
#include "interpose/python/place.h"
#include "interpose/recorder.h"
#include "interpose/stack.h"
#include "interpose/threads.h"

namespace memtrace::python {

constinit const TssKey kNoKey = {-1, ~0u};
constinit Reader g_reader;

static const char* AskThreadState(Thread* t) {
  if (g_reader.thread_state == nullptr) return nullptr;
  const void* tstate = g_reader.thread_state();
  if (tstate == nullptr && g_reader.is_initialized() == 0) WatchAgain(t);
  return static_cast<const char*>(tstate);
}

__attribute__((noinline)) const char* ThreadStateSlow(Thread* t) {
  t->rest = RestingState(t);  // it may have to be watchful since
  const TssKey* key = g_reader.key;
  if (key == &kNoKey) return AskThreadState(t);
  if (key->is_initialized == 0) {
    t->dead_state = nullptr;
    WatchAgain(t);
    return nullptr;
  }
  const unsigned k = key->key;
  // Asked for in any case: glibc clears what was left there under a key that has been deleted.
  const auto* tstate = static_cast<const char*>(pthread_getspecific(k));
  if (tstate == nullptr) t->dead_state = nullptr;
  if (g_reader.specific == 0 || k >= os::kSpecificKeys) return tstate;
  const char* self = static_cast<const char*>(__builtin_thread_pointer());
  const auto* place =
      reinterpret_cast<const char* const*>(self + g_reader.specific + k * os::kSpecificStride);
  __builtin_memcpy(&t->tss_key, key, sizeof t->tss_key);
  t->tss_place = place;
  return tstate;
}

__attribute__((noinline)) bool Learn(Thread* t, const char* tstate) {
  if (tstate == nullptr || tstate == t->dead_state) return false;
  t->dead_state = nullptr;
  t->known_state = tstate;
  g_live_table.MarkThreadState(tstate);
  return true;
}

namespace {

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

// Compares the kept frames at..1 with what they are now. Returns the outermost that has moved on
// (at + 1: none). 0: the caller of kept frame *broken has changed.
//
// Each frame is known to be alive when it is read, because the one before named it as its caller.
template <const Layout& L>
uint32_t Verify(const Thread* t, uint32_t at, uint32_t* broken) {
  const KeptFrame* kept = t->kept + at;
  const KeptFrame* moved = kept + 1;
  for (const char* frame = kept->frame; frame != nullptr; kept--) {
    if (__builtin_expect(Moved<L>(t, kept, frame) != 0, 0)) moved = kept;
    const char* caller = kept[-1].frame;
    if (__builtin_expect(Frames<L>::Previous(frame) != caller, 0)) {
      *broken = static_cast<uint32_t>(kept - t->kept);
      return 0;
    }
    frame = caller;
  }
  return static_cast<uint32_t>(moved - t->kept);
}

// Looks kept frames up again from `moved` on; one whose node stays leaves those above it alone.
template <const Layout& L>
void Refresh(Thread* t, uint32_t moved, uint32_t top, uint32_t which) {
  bool parent_changed = false;
  for (uint32_t i = moved; i <= top; i++) {
    const char* frame = t->kept[i].frame;
    if (!parent_changed && IsAt<L>(t, t->kept + i)) continue;
    const uint32_t before = t->info[i].node;
    Learn<L>(t, i, frame, Frames<L>::Code(frame), t->info[i - 1].node);
    Place<L>(t, i, Frames<L>::Instruction(frame), which);
    parent_changed = t->info[i].node != before;
  }
}

template <const Layout& L>
void Push(Thread* t, const char* frame, uint32_t which) {
  const uint32_t at = ++t->frame_count;
  t->kept[at].frame = frame;
  t->frame_at[FrameHash(frame)] = static_cast<uint16_t>(at);
  Learn<L>(t, at, frame, Frames<L>::Code(frame), t->info[at - 1].node);
  Place<L>(t, at, Frames<L>::Instruction(frame), which);
}

// Joins the stack that ends in `frame` to the kept one: sets frame_count to what is kept, and puts
// frames that are not into t->fresh, innermost first. Returns how many.
template <const Layout& L>
uint32_t Join(Thread* t, const char* frame, uint32_t which) {
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
      if (moved <= at) Refresh<L>(t, moved, at, which);
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
inline bool RejoinNear(Thread* t, const char* frame, uint32_t which) {
  bool fresh;
  const uint32_t at = NearJoin<L>(t, frame, &fresh);
  uint32_t broken = 0;
  const uint32_t moved = at != 0 ? Verify<L>(t, at, &broken) : 0;
  if (moved == 0 || (fresh && at + 1 >= Thread::kMaxFrames)) return false;
  if (moved <= at) Refresh<L>(t, moved, at, which);
  t->frame_count = at;
  if (fresh) Push<L>(t, frame, which);
  SetTop(t);
  return true;
}

// Makes the kept stack the one that ends in `frame`; one deeper than can be kept loses its
// innermost frames' names.
template <const Layout& L>
__attribute__((noinline)) void Rejoin(Thread* t, const char* frame, uint32_t which) {
  const uint32_t stale = g_stale.load(std::memory_order_acquire);
  if (t->seen_stale != stale) {
    t->seen_stale = stale;
    t->frame_count = t->known_frames = 0;
    RenewSites(t);
  }
  if (RejoinNear<L>(t, frame, which)) return;
  uint32_t fresh = Join<L>(t, frame, which);
  while (fresh > 0 && t->frame_count + 1 < Thread::kMaxFrames) {
    Push<L>(t, t->fresh[--fresh], which);
  }
  SetTop(t);
}

// Brings the kept stack up to date with the one that ends in `frame`. Where its innermost frame is
// looked up, so is the site there.
template <const Layout& L>
inline void Follow(Thread* t, const char* frame, uint32_t which) {
  if (!CallersSettled<L>(t, frame)) {
    Rejoin<L>(t, frame, which);
    return;
  }
  const char* code = Frames<L>::Code(frame);
  if (code == t->top_info->code && IsAt<L>(t, t->top)) return;
  if (code != t->top_info->code) {  // a call has returned, and another one has its place
    Learn<L>(t, t->frame_count, frame, code, t->top_info[-1].node);
  }
  Place<L>(t, t->frame_count, Frames<L>::Instruction(frame), which);
}

// Whole stacks. The kept stack starts at index 1; entry 0 stays empty: no frame, the root's node.
template <const Layout& L>
uint32_t WholeNode(Thread* t, const char* tstate) {
  if (!MayRead(t, tstate)) return 0;
  const char* frame = Frames<L>::Innermost(tstate);
  if (__builtin_expect(frame == nullptr, 0)) return 0;
  Follow<L>(t, frame, kObj);
  return t->top_info->node;
}

template <const Layout& L>
__attribute__((noinline)) uint32_t WholeSiteSlow(Thread* t, const char* tstate, uint32_t which) {
  const char* frame = Frames<L>::Innermost(tstate);
  if (frame == nullptr) return FindSite(t, 0, DomainOf(which), 0);
  Follow<L>(t, frame, which);
  return t->top_info->sites[which] != 0 ? t->top_info->sites[which] : NewSiteOfTop<L>(t, which);
}

template <const Layout& L>
uint32_t WholeSite(Thread* t, const char* tstate, uint32_t which) {
  const uint32_t site = FastSite<L>(t, tstate, which);
  return __builtin_expect(site != 0, 1) ? site : WholeSiteSlow<L>(t, tstate, which);
}

template <int... I>
Capture Pick(int index, uint32_t depth, std::integer_sequence<int, I...>) {
  const Capture whole[] = {
      {&WholeNode<kLayouts[I]>, &WholeSite<kLayouts[I]>, &WholeSiteSlow<kLayouts[I]>}...};
  const Capture some[] = {
      {&LimitedNode<kLayouts[I]>, &LimitedSite<kLayouts[I]>, &LimitedSite<kLayouts[I]>}...};
  const Capture leaf[] = {
      {&LimitedNode<kLayouts[I]>, &LeafSite<kLayouts[I]>, &LimitedSite<kLayouts[I]>}...};
  return depth == 0 ? whole[index] : depth == 1 ? leaf[index] : some[index];
}

}  // namespace

Capture ChooseCapture(const Layout* layout, uint32_t depth) {
  g_depth = depth < Thread::kMaxFrames ? depth : Thread::kMaxFrames;
  return Pick(static_cast<int>(layout - kLayouts), depth,
              std::make_integer_sequence<int, kLayoutCount>{});
}

}  // namespace memtrace::python
