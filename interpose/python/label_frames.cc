#include "interpose/python/label_frames.h"

#include <utility>

#include "interpose/python/frames.h"
#include "interpose/python/place.h"
#include "interpose/region.h"

namespace memtrace::python {
namespace {

// The frame itself, or the next one outwards that CPython shows.
template <const Layout& L>
const char* Shown(const char* frame) {
  for (; frame != nullptr; frame = Frames<L>::Previous(frame)) {
    if (Frames<L>::IsShim(frame)) continue;
    const char* code = Frames<L>::Code(frame);
    const int offset = Frames<L>::Offset(frame, code, Frames<L>::Instruction(frame));
    if (!Frames<L>::IsIncomplete(frame, code, offset)) return frame;
  }
  return nullptr;
}

template <const Layout& L>
const char* CallerOf(const char* frame) {
  return frame != nullptr ? Shown<L>(Frames<L>::Previous(frame)) : nullptr;
}

template <const Layout& L>
bool IsIn(Thread* t, const char* frame, uint32_t filename) {
  if (frame == nullptr || filename == 0) return false;
  const uint32_t code = CodeId(t, L, Frames<L>::Code(frame));
  return code != 0 && g_region.At<CodeRecord>(kCodes, code)->filename == filename;
}

template <const Layout& L>
bool MayMove(const char* frame) {
  // Up to 3.10 frames do not tell what they are of.
  if constexpr (L.frame_owner < 0) return true;
  return Load<int8_t>(frame + L.frame_owner) == kOwnedByGenerator;
}

template <const Layout& L>
LabelFrame Find(Thread* t, const char* tstate, int depth, uint32_t passed) {
  const char* frame = Shown<L>(Frames<L>::Innermost(tstate));
  while (depth-- > 0) frame = CallerOf<L>(frame);
  if (frame == nullptr) return {};
  for (const char* caller = CallerOf<L>(frame);
       caller != nullptr && (IsIn<L>(t, frame, passed) || IsIn<L>(t, caller, passed));
       caller = CallerOf<L>(frame)) {
    frame = caller;
  }
  return {frame, Frames<L>::Code(frame), MayMove<L>(frame)};
}

using FindFunction = LabelFrame (*)(Thread*, const char*, int, uint32_t);

template <int... I>
FindFunction Pick(int index, std::integer_sequence<int, I...>) {
  constexpr FindFunction kFunctions[] = {&Find<kLayouts[I]>...};
  return kFunctions[index];
}

}  // namespace

LabelFrame FindLabelFrame(Thread* t, int depth, uint32_t passed) {
  if (g_reader.layout == nullptr) return {};
  const char* tstate = ThreadState(t);
  if (tstate == nullptr || !MayRead(t, tstate)) return {};
  const FindFunction find = Pick(static_cast<int>(g_reader.layout - kLayouts),
                                 std::make_integer_sequence<int, kLayoutCount>{});
  return find(t, tstate, depth, passed);
}

void ForgetFrame(Thread* t, const LabelFrame& frame) {
  const bool threaded =
      (g_region.header()->flags.load(std::memory_order_relaxed) & kFlagThreaded) != 0;
  if (frame.may_move && threaded) {
    g_stale.fetch_add(1, std::memory_order_acq_rel);
    return;
  }
  if (g_region.header()->stack_depth != 0) t->known_frames = 0;
  for (uint32_t at = t->frame_count; at > 0; at--) {
    if (t->kept[at].frame != frame.frame) continue;
    t->frame_count = at - 1;
    SetTop(t);
    return;
  }
}

// With the line alone, the fast way knows no frames.
void ExpectLabels() {
  if (g_region.header()->stack_depth != 1) return;
  __atomic_store_n(&g_reader.site, g_reader.slow_site, __ATOMIC_RELAXED);
}

}  // namespace memtrace::python
