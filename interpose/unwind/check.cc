#include "interpose/unwind/check.h"

#include <stdio.h>

#include <atomic>

#include "interpose/os/os.h"
#include "interpose/region.h"

namespace memtrace::unwind {
namespace {

// The addresses of the last stack that was followed, innermost first, at most max.
int LastAddresses(const NativeStack* s, uintptr_t* out, int max) {
  int count = 0;
  uint32_t kept = s->count;
  if (const Tail* tail = s->last_tail) {
    out[count++] = tail->pc;
    for (uint32_t i = 0; i < tail->count; i++) {
      if (tail->is_frame >> i & 1) out[count++] = tail->entries[i].value;
    }
    kept = tail->join_count;
  } else if (kept == 0) {
    for (uint32_t i = 0; i < s->last_fresh && count < max; i++) out[count++] = s->fresh[i].pc;
    return count;
  }
  for (uint32_t i = kept; i-- > 0 && count < max;) {
    if (s->info[i].is_frame) out[count++] = s->kept[i].value;
  }
  return count;
}

void Say(const char* line) {
  static constinit std::atomic<int> said{0};
  if (said.fetch_add(1) < 3) os::Say(line);
}

void Count(bool different) {
  Header* h = g_region.header();
  h->stacks_checked.fetch_add(1, std::memory_order_relaxed);
  if (different) h->stacks_different.fetch_add(1, std::memory_order_relaxed);
}

// Whether the addresses agree. A stack that ended early (no call frame information) has to be the
// beginning of the full one.
bool SameAddresses(NativeStack* s, const uintptr_t* full, int full_count) {
  const uintptr_t* ours = s->compared;
  const int count = LastAddresses(s, s->compared, kMaxFrames);
  int same = 0;
  while (same < count && same < full_count && ours[same] == full[same]) same++;
  if (same == count && (same == full_count || s->last_cut)) return true;
  char line[256];
  snprintf(line, sizeof line,
           "a native stack of %d frames is one of %d when it is unwound as a whole: frame %d is at "
           "%lx, not %lx",
           count, full_count, same, same < count ? ours[same] : 0,
           same < full_count ? full[same] : 0);
  Say(line);
  return false;
}

// Whether the same frames stand for them. Where a signal has come in between, or frames are missing
// at the outer end, addresses alone do not say what is shown.
bool SameFrames(Thread* t, NativeStack* s, uint32_t node, const uintptr_t* full, int full_count) {
  if (s->last_cut || s->last_through_signal || full_count == kMaxFrames) return true;
  const uint32_t expected = NodeOfAddresses(t, s, full, full_count, /*cut=*/false);
  if (node == expected) return true;
  char line[160];
  snprintf(line, sizeof line,
           "a native stack of %d frames is shown as stack %u, but as %u when it is unwound as a "
           "whole",
           full_count, node, expected);
  Say(line);
  return false;
}

}  // namespace

void CheckStack(Thread* t, NativeStack* s, const Place& from, uint32_t node, const Backend& full) {
  if (!s->last_followed) return;
  bool cut = false;
  const int count = Ask(t, full, from, s->addresses, &cut);
  if (count == 0) return;  // it has nothing to compare with
  const bool same =
      SameAddresses(s, s->addresses, count) && SameFrames(t, s, node, s->addresses, count);
  Count(!same);
}

}  // namespace memtrace::unwind
