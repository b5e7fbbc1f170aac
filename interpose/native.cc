#include "interpose/native.h"

#include <errno.h>
#include <string.h>

#include "interpose/labels.h"
#include "interpose/os/os.h"
#include "interpose/python/frames.h"
#include "interpose/python/interpreter.h"
#include "interpose/region.h"
#include "interpose/site_tree.h"
#include "interpose/stack.h"
#include "interpose/unwind/cfi.h"
#include "interpose/unwind/check.h"
#include "interpose/unwind/incremental.h"
#include "interpose/unwind/unwind.h"

namespace memtrace {

constinit bool g_native = false;

namespace {

using unwind::Backend;
using unwind::CodeRange;
using unwind::NativeStack;
using unwind::Place;

constexpr const char* kIncremental = "incremental";
constexpr const Backend* kBackends[] = {&unwind::kLibunwind, &unwind::kFramePointers,
                                        &unwind::kBoost};

// nullptr: incremental.
constinit const Backend* g_backend = nullptr;
constinit bool g_is_open = false;  // the backend; what comes before is unwound incrementally
// Where incremental unwinding leaves off; nullptr: it is not on this machine.
constinit const Backend* g_fallback = nullptr;
constinit bool g_check = false;
constinit bool g_show_interpreter = false;
constinit CodeRange g_own;         // this library
constinit CodeRange g_evaluation;  // the interpreter's evaluation loop
constinit uint32_t g_evaluation_frame = 0;

// False: no such method.
bool ChooseBackend(const char* name) {
  if (strcmp(name, kIncremental) == 0) return true;
  for (const Backend* backend : kBackends) {
    if (strcmp(name, backend->name) == 0) g_backend = backend;
  }
  return g_backend != nullptr;
}

void SetMethod(const char* name) {
  g_region.header()->unwind_method = InternString(name, strlen(name));
}

Place PlaceOf(uintptr_t caller, const void* hook) {
  const auto frame = reinterpret_cast<uintptr_t>(hook);
  return {caller, frame + 16, *static_cast<const uintptr_t*>(hook)};
}

NativeStack* StackOf(Thread* t) {
  if (__builtin_expect(t->native == nullptr, 0)) {
    t->native = static_cast<NativeStack*>(os::Reserve(sizeof(NativeStack)));
  }
  return t->native;
}

uint32_t BackendNode(Thread* t, NativeStack* s, const Place& from) {
  bool cut = false;
  const int count = unwind::Ask(t, *g_backend, from, s->addresses, &cut);
  return unwind::NodeOfAddresses(t, s, s->addresses, count, cut);
}

uint32_t NativeNode(Thread* t, uintptr_t caller, const void* hook, uint32_t hint) {
  NativeStack* s = StackOf(t);
  if (s == nullptr) return 0;
  const Place from = PlaceOf(caller, hook);
  if (__builtin_expect(g_is_open, 0)) return BackendNode(t, s, from);
  const auto* at = static_cast<const uintptr_t*>(hook) + 1;
  const uint32_t node = unwind::FollowStack(
      t, s, from, at, hint, g_modules_changed.load(std::memory_order_relaxed), g_fallback);
  if (__builtin_expect(g_check, 0) && g_fallback != nullptr) {
    unwind::CheckStack(t, s, from, node, *g_fallback);
  }
  return node;
}

}  // namespace

void InitNative() {
  g_show_interpreter = os::IsSet("MEMTRACE_NATIVE_INTERPRETER");
  g_check = os::IsSet("MEMTRACE_UNWIND_CHECK");
  const char* method = os::Environment("MEMTRACE_UNWIND");
  const bool has_method = method != nullptr && *method != 0;
  if (!os::IsSet("MEMTRACE_NATIVE") && !g_show_interpreter && !has_method) return;
  if (has_method && !ChooseBackend(method)) {
    os::Say("MEMTRACE_UNWIND is none of incremental, libunwind, fp, boost: incremental is used");
  }
  os::Module own;
  if (os::FindModule(reinterpret_cast<uintptr_t>(&InitNative), &own)) g_own = {own.start, own.end};
  g_evaluation_frame = InternFrame(FrameKind::kEvaluation, 0, 0, 0);
  g_native = g_evaluation_frame != 0 && InitNativeNodes();
  if (!g_native) return;
  g_frame_marks.fetch_or(kMarksEvaluations, std::memory_order_relaxed);
  g_region.header()->flags |= kFlagNativeStacks;
  if (g_show_interpreter) g_region.header()->flags |= kFlagInterpreterFrames;
  SetMethod(g_backend != nullptr ? g_backend->name : kIncremental);
}

void OpenUnwinder() {
  if (!g_native) return;
  if (g_backend != nullptr && !g_backend->init()) {
    os::Say("the method that MEMTRACE_UNWIND names is not installed: incremental is used instead");
    g_backend = nullptr;
    SetMethod(kIncremental);
  }
  g_is_open = g_backend != nullptr;
  if (g_backend == nullptr && unwind::kLibunwind.init()) g_fallback = &unwind::kLibunwind;
  if (g_check && g_backend == nullptr && g_fallback == nullptr) {
    os::Say("libunwind.so.8 is not installed: native stacks are not checked");
    g_check = false;
  }
}

void LearnEvaluation() {
  if (!g_native) return;
  const auto start = reinterpret_cast<uintptr_t>(python::Symbol("_PyEval_EvalFrameDefault"));
  g_evaluation = start != 0 ? unwind::FindFunction(start) : CodeRange{};
  g_modules_changed.fetch_add(1, std::memory_order_acq_rel);  // what frames are shown as
}

ShownFrames ShowFrame(Thread* t, uintptr_t address) {
  if (g_own.Holds(address)) return {0, 0};
  const bool interpreter = python::g_interpreter.Holds(address);
  const bool shown = !interpreter || g_show_interpreter;
  const int saved_errno = errno;
  // The tool takes frames for return addresses.
  const ShownFrames frames = {shown ? InternNativeFrame(t, address + 1) : 0,
                              g_evaluation.Holds(address) ? g_evaluation_frame : 0};
  errno = saved_errno;
  return frames;
}

uint32_t EvaluationNode(uint32_t node) {
  const uint32_t child = InternNode(node, g_evaluation_frame);
  return child != 0 ? child : node;
}

__attribute__((noinline)) uint32_t NativeSite(Thread* t, Domain domain, uintptr_t caller,
                                              const void* hook) {
  const uint32_t node = python::g_reader.node == nullptr ? 0 : PythonNode(t);
  return NativeSiteAt(t, node, domain, caller, hook);
}

__attribute__((noinline)) uint32_t NativeSiteAt(Thread* t, uint32_t node, Domain domain,
                                                uintptr_t caller, const void* hook) {
  if (__builtin_expect(t->outer_hook != nullptr, 0)) {
    hook = t->outer_hook;
    t->outer_hook = nullptr;
  }
  return FindSite(t, node, domain, NativeNode(t, caller, hook, node));
}

}  // namespace memtrace
