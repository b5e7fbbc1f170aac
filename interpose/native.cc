#include "interpose/native.h"

#include <errno.h>

#include "interpose/os/os.h"
#include "interpose/python/interpreter.h"
#include "interpose/site_tree.h"
#include "interpose/unwind/unwind.h"

namespace memtrace {

constinit bool g_native = false;

namespace {

constexpr const unwind::Backend& g_backend = unwind::kLibunwind;

}  // namespace

void InitNative() {
  const char* wanted = os::Environment("MEMTRACE_NATIVE");
  if (wanted == nullptr || *wanted == 0 || *wanted == '0') return;
  g_native = g_backend.init();
  if (!g_native) os::Say("libunwind.so.8 is not installed: native stacks are off");
}

uint32_t NativeNode(Thread* t, uint32_t python_node, uintptr_t caller) {
  const int saved_errno = errno;
  uintptr_t stack[unwind::kMaxFrames];
  bool cut = false;
  const int depth = g_backend.capture({caller, 0, 0}, stack, unwind::kMaxFrames, &cut);
  int end = 0;
  // Below a Python stack only what lies inside the interpreter's call is new.
  while (end < depth && !(python_node != 0 && python::g_interpreter.Holds(stack[end]))) end++;
  uint32_t node = python_node;
  for (int i = end; i-- > 0;) {
    const uint32_t frame = NativeFrame(t, stack[i]);
    const uint32_t child = frame != 0 ? InternNode(node, frame) : 0;
    if (child != 0) node = child;
  }
  errno = saved_errno;
  return node;
}

}  // namespace memtrace
