// The frames that labels belong to (interpose/labels.h), and the kept stacks that they are in.

#ifndef MEMTRACE_INTERPOSE_PYTHON_LABEL_FRAMES_H_
#define MEMTRACE_INTERPOSE_PYTHON_LABEL_FRAMES_H_

#include <cstdint>

#include "interpose/thread.h"

namespace memtrace::python {

struct LabelFrame {
  const char* frame = nullptr;  // nullptr: there is none
  const char* code = nullptr;
  bool may_move = false;  // a generator's or coroutine's: another thread may have run it before
};

// The frame that is `depth` calls out from the thread's innermost one. A frame of the source file
// `passed` (string; 0: none), and one that such a frame has called, is passed over for its caller:
// a label that is entered through contextlib belongs to who uses the context manager.
LabelFrame FindLabelFrame(Thread* t, int depth, uint32_t passed);

// The frame is looked up anew wherever it is met next: by this thread and, if it may have been kept
// by others, by all.
void ForgetFrame(Thread* t, const LabelFrame& frame);

// The first label is about to be added.
void ExpectLabels();

}  // namespace memtrace::python

#endif  // MEMTRACE_INTERPOSE_PYTHON_LABEL_FRAMES_H_
