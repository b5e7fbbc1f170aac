// One frame of the kept stack: what it runs, its node under its caller's, and the site there,
// through the thread's cache. Part of frames.cc.

#ifndef MEMTRACE_INTERPOSE_PYTHON_PLACE_H_
#define MEMTRACE_INTERPOSE_PYTHON_PLACE_H_

#include <errno.h>

#include <cstdint>

#include "interpose/labels.h"
#include "interpose/native.h"
#include "interpose/python/capture.h"
#include "interpose/python/code.h"
#include "interpose/site_tree.h"
#include "interpose/thread.h"

namespace memtrace::python {

// The node under which the frame's own is: labels are marked, and with native stacks, evaluations.
template <const Layout& L>
inline uint32_t ParentOf(uint32_t node, const char* frame) {
  const uint32_t marks = g_frame_marks.load(std::memory_order_relaxed);
  if (__builtin_expect(marks == 0, 1)) return node;
  if ((marks & ~kMarksEvaluations) != 0) node = LabelNode(node, frame, Frames<L>::Code(frame));
  const bool evaluation = (marks & kMarksEvaluations) != 0 && Frames<L>::IsEntry(frame);
  return evaluation ? EvaluationNode(node) : node;
}
// Of a frame that is not shown.
template <const Layout& L>
inline uint32_t NodeOfHidden(uint32_t parent, const char* frame) {
  return g_native && Frames<L>::IsShim(frame) ? EvaluationNode(parent) : parent;
}

// What follows has to be looked up in the tree: the node of a frame under its caller's.
template <const Layout& L>
__attribute__((noinline)) uint32_t NodeSlow(Thread* t, uint32_t parent, uint32_t code_id,
                                            const char* frame, const char* code, int offset) {
  const int saved_errno = errno;
  parent = ParentOf<L>(parent, frame);
  if (Frames<L>::IsIncomplete(frame, code, offset)) return parent;
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
inline NodeCacheEntry* Keep(NodeCacheEntry* set, uint64_t key, uint32_t node) {
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
    *node = info.code_id == 0 ? NodeOfHidden<L>(parent, frame)
                              : NodeSlow<L>(t, parent, info.code_id, frame, info.code, offset);
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
  info.key = short_id ? KeyOf(ParentOf<L>(parent, frame), info.code_id) : 0;
}

// Looks the kept frame up where it is now, and the site there in one of Python's domains.
template <const Layout& L>
void Place(Thread* t, uint32_t at, uint64_t ip, uint32_t which) {
  FrameInfo& info = t->info[at];
  t->kept[at].ip = ip;
  NodeCacheEntry* entry =
      Lookup<L>(t, info, t->info[at - 1].node, t->kept[at].frame, ip, which, &info.node);
  info.sites[which ^ 1] = 0;
  info.sites[which] = entry != nullptr ? entry->site : 0;
  t->site_place = entry != nullptr ? &entry->site : nullptr;
}

inline void SetTop(Thread* t) {
  t->top = t->kept + t->frame_count;
  t->top_info = t->info + t->frame_count;
}

inline Domain DomainOf(uint32_t which) {
  return which == 0 ? Domain::kPythonMem : Domain::kPythonObj;
}

// The site of the innermost kept frame, when it is not known yet.
inline uint32_t SiteOfTop(Thread* t, uint32_t which) {
  const int saved_errno = errno;
  const uint32_t site = InternPythonSite(t, t->top_info->node, DomainOf(which));
  t->top_info->sites[which] = site;
  errno = saved_errno;
  return site;
}

// The same, left in the cache for the fast way to find it.
template <const Layout& L>
uint32_t NewSiteOfTop(Thread* t, uint32_t which) {
  const uint32_t site = SiteOfTop(t, which);
  uint32_t node;
  NodeCacheEntry* entry =
      Lookup<L>(t, *t->top_info, t->top_info[-1].node, t->top->frame, t->top->ip, which, &node);
  if (entry != nullptr) {
    entry->site = site;
    t->site_place = &entry->site;
  }
  return site;
}

}  // namespace memtrace::python

#endif  // MEMTRACE_INTERPOSE_PYTHON_PLACE_H_
