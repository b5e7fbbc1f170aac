// Stacks of which only the innermost frames are wanted (MEMTRACE_STACK_DEPTH). Part of frames.cc.

#ifndef MEMTRACE_INTERPOSE_PYTHON_LIMITED_H_
#define MEMTRACE_INTERPOSE_PYTHON_LIMITED_H_

#include <cstdint>

#include "interpose/live_table.h"
#include "interpose/python/place.h"
#include "interpose/recorder.h"
#include "interpose/stack.h"
#include "interpose/threads.h"

namespace memtrace::python {

// The innermost g_depth frames only: looked up anew each time, the cache does the rest. Of the kept
// frames' places the first g_depth are used, for what is known of a frame. Labels of frames farther
// out are kept: the innermost ones, directly under the root.

inline constinit uint32_t g_depth = 0;

// The node for the labels of these frames.
template <const Layout& L>
uint32_t OuterLabels(const char* frame) {
  const char* labelled[kMaxLabelsOfFrame];
  int n = 0;
  for (; frame != nullptr && n < kMaxLabelsOfFrame; frame = Frames<L>::Previous(frame)) {
    if (LabelNode(0, frame, Frames<L>::Code(frame)) != 0) labelled[n++] = frame;
  }
  uint32_t node = 0;
  while (n-- > 0) node = LabelNode(node, labelled[n], Frames<L>::Code(labelled[n]));
  return node;
}

template <const Layout& L>
uint32_t Innermost(Thread* t, const char* tstate) {
  uint32_t n = 0;
  const char* frame = Frames<L>::Innermost(tstate);
  for (; frame != nullptr && n < g_depth; frame = Frames<L>::Previous(frame)) {
    if (Frames<L>::IsShim(frame)) continue;
    // An incomplete frame would use up the depth without being shown.
    const char* code = Frames<L>::Code(frame);
    if (Frames<L>::IsIncomplete(frame, code,
                                Frames<L>::Offset(frame, code, Frames<L>::Instruction(frame)))) {
      continue;
    }
    t->fresh[n++] = frame;
  }
  const bool labels = (g_frame_marks.load(std::memory_order_relaxed) & ~kMarksEvaluations) != 0;
  t->info[0].node = __builtin_expect(labels, 0) ? OuterLabels<L>(frame) : 0;
  return n;
}

template <const Layout& L>
uint32_t FollowLimited(Thread* t, const char* tstate, uint32_t which) {
  const uint32_t stale = g_stale.load(std::memory_order_acquire);
  if (__builtin_expect(t->seen_stale != stale, 0)) {
    t->seen_stale = stale;
    t->known_frames = 0;
    RenewSites(t);
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
    Place<L>(t, at, ip, which);
  }
  SetTop(t);
  return t->top_info->node;
}

template <const Layout& L>
uint32_t LimitedNode(Thread* t, const char* tstate) {
  if (!MayRead(t, tstate)) return 0;
  return FollowLimited<L>(t, tstate, kObj);
}

template <const Layout& L>
uint32_t LimitedSite(Thread* t, const char* tstate, uint32_t which) {
  const uint32_t node = FollowLimited<L>(t, tstate, which);
  if (t->frame_count == 0) return FindSite(t, node, DomainOf(which), 0);
  return t->top_info->sites[which] != 0 ? t->top_info->sites[which] : NewSiteOfTop<L>(t, which);
}

// The innermost frame alone: what it runs and where is all there is to know.
static_assert(kMaxKeyCode <= LiveTable::kNoCodeId);
template <const Layout& L>
uint32_t LeafSite(Thread* t, const char* tstate, uint32_t which) {
  const char* frame = Frames<L>::Innermost(tstate);
  const bool stale = t->seen_stale != g_stale.load(std::memory_order_acquire);
  if (__builtin_expect(frame == nullptr || stale || !IsReady(t->rest), 0)) {
    return LimitedSite<L>(t, tstate, which);
  }
  const char* code = Frames<L>::Code(frame);
  const uint32_t code_id = g_live_table.FastCodeId(code);
  const auto offset =
      static_cast<uint32_t>(Frames<L>::Offset(frame, code, Frames<L>::Instruction(frame)));
  const uint64_t key = KeyOf(0, code_id) | offset | which;
  const bool is_key = code_id < kMaxKeyCode && offset < kMaxKeyOffset;
  const NodeCacheEntry* entry = __builtin_expect(is_key, 1) ? KnownSite(t, key) : nullptr;
  return __builtin_expect(entry != nullptr, 1) ? entry->site : LimitedSite<L>(t, tstate, which);
}

}  // namespace memtrace::python

#endif  // MEMTRACE_INTERPOSE_PYTHON_LIMITED_H_
