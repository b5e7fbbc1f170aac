// Labels: names that a program gives to parts of its work (`with memtrace.label("load"):`).
//
// A label belongs to the Python frame that executes the with block, and not to a thread: so a
// coroutine that is suspended inside one takes it along, and what other tasks do meanwhile has
// none. While a frame is labelled, a node of kind kLabel stands between its caller's node and its
// own: each stack that the frame is on has the label in it. Lookups of frames ask here (ParentOf in
// python/place.h); what is settled never does, so the fast ways know nothing of labels.
//
// Which frames are labelled is kept by their address in two buckets of eight places each.
//
// Invariants
//  1. Only who runs a frame labels it, unlabels it, or asks for it, and a frame runs in one thread
//     at a time: what is contended for are free places alone.
//  2. Whoever changes a frame's labels sees to it that no thread has a kept stack with the frame as
//     it was (python/label_frames.h).
//
// A frame that ends with its label (a function that calls __enter__ by itself) leaves it in the
// table: the code object is compared, too, so that hardly another frame is taken for it.
//
// Threading: any thread; no lock. When full: Mark says so.

#ifndef MEMTRACE_INTERPOSE_LABELS_H_
#define MEMTRACE_INTERPOSE_LABELS_H_

#include <atomic>
#include <cstdint>

namespace memtrace {

// What makes the node that a frame is under another one than its caller's: this bit, and the number
// of labels. 0: nothing does.
inline constexpr uint32_t kMarksEvaluations = 1u << 31;  // g_native
extern constinit std::atomic<uint32_t> g_frame_marks;

inline constexpr int kMaxLabelsOfFrame = 16;

// label: a frame record of kind kLabel. False: there is no room.
bool AddLabel(const char* frame, const char* code, uint32_t label, uint32_t thread);
// Takes the innermost one of that name from the frame. False: it has none.
bool RemoveLabel(const char* frame, uint32_t label);
// The same of any frame that this thread has labelled so. Looks at the whole table.
bool RemoveStrayLabel(uint32_t label, uint32_t thread);

// The node that a frame is under, which its caller's node would be without labels.
uint32_t LabelNode(uint32_t node, const char* frame, const char* code);

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_LABELS_H_
