// Which interpreter is this, and can its frames be read? Everything doubtful turns Python
// attribution off with one line on standard error; the native side goes on.

#ifndef MEMTRACE_INTERPOSE_PYTHON_DETECT_H_
#define MEMTRACE_INTERPOSE_PYTHON_DETECT_H_

namespace memtrace::python {

// Fills g_reader and g_types when the interpreter's version is in the table. False: no interpreter,
// or one whose allocators should be left alone.
bool Detect();

// Called once, with the first frame seen: reads it carefully and compares it with what the layout
// promises. On a mismatch attribution is turned off.
bool SelfTest(const char* tstate);

}  // namespace memtrace::python

#endif  // MEMTRACE_INTERPOSE_PYTHON_DETECT_H_
