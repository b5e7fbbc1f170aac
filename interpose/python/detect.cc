#include "interpose/python/detect.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>

#include "interpose/live_table.h"
#include "interpose/os/os.h"
#include "interpose/python/code.h"
#include "interpose/python/frames.h"
#include "interpose/python/interpreter.h"
#include "interpose/region.h"
#include "interpose/site_tree.h"
#include "interpose/stack.h"

namespace memtrace::python {
namespace {

constinit Capture g_capture;  // to be used once the self-test has passed

template <class F>
bool Find(const char* name, F* out) {
  *out = reinterpret_cast<F>(Symbol(name));
  return *out != nullptr;
}

const Layout* FindLayout(uint32_t version, bool free_threaded) {
  for (const Layout& layout : kLayouts) {
    if (layout.version == version && layout.free_threaded == free_threaded) return &layout;
  }
  return nullptr;
}

void TurnOff(const char* why) {
  static_cast<Capture&>(g_reader) = {};
  g_region.header()->flags.fetch_or(kFlagPythonOff);
  char line[512];
  snprintf(line, sizeof line,
           "%s: Python lines are off, native allocations are traced (memtrace doctor says more)",
           why);
  os::Say(line);
}

// "3.12.1 (main, ...)" -> 0x30c01f0-like number without level: major << 24 | minor << 16 | micro
// << 8.
uint32_t ParseVersion(const char* text) {
  char* end;
  const unsigned long major = strtoul(text, &end, 10);
  if (*end != '.') return 0;
  const unsigned long minor = strtoul(end + 1, &end, 10);
  const unsigned long micro = *end == '.' ? strtoul(end + 1, &end, 10) : 0;
  return static_cast<uint32_t>(major << 24 | minor << 16 | micro << 8);
}

// Where the interpreter keeps the key that PyGILState_GetThisThreadState looks up: the one pair in
// its runtime whose thread-specific value is this thread's state. It saves two calls for each
// allocation. Two such pairs: one is something else that looks like it now, so neither is taken.
const TssKey* FindKey(const void* tstate) {
  size_t bytes = 0;
  const char* runtime = static_cast<const char*>(Symbol("_PyRuntime", &bytes));
  if (runtime == nullptr) return nullptr;
  const TssKey* found = nullptr;
  for (size_t at = 0; at + sizeof(TssKey) <= bytes; at += alignof(TssKey)) {
    const auto* key = reinterpret_cast<const TssKey*>(runtime + at);
    if (key->is_initialized != 1 || key->key >= PTHREAD_KEYS_MAX ||
        pthread_getspecific(key->key) != tstate) {
      continue;
    }
    if (found != nullptr) return nullptr;
    found = key;
  }
  return found;
}

// Pairs like (1, 0) are everywhere: takes the small keys, so that the interpreter gets one that
// FindKey can tell from other numbers.
void TakeSmallKeys() {
  constexpr pthread_key_t kTellable = 16;
  pthread_key_t key = 0;
  while (key < kTellable && pthread_key_create(&key, nullptr) == 0) {
  }
}

// The first capture of all is preceded by the self-test.
uint32_t FirstNode(Thread* t, const char* tstate) {
  if (!MayRead(t, tstate) || !SelfTest(tstate)) return 0;
  const TssKey* key = FindKey(tstate);
  if (key != nullptr) g_reader.key = key;
  return g_reader.node != nullptr ? g_reader.node(t, tstate) : 0;
}

uint32_t FirstSite(Thread* t, const char* tstate, uint32_t domain) {
  const auto which = static_cast<Domain>(static_cast<uint32_t>(Domain::kPythonMem) + domain);
  return FindSite(t, FirstNode(t, tstate), which, 0);
}

}  // namespace

bool Detect() {
  const char* (*get_version)() = nullptr;
  Reader reader;
  if (!Find("Py_GetVersion", &get_version) ||
      !Find("PyGILState_GetThisThreadState", &reader.thread_state) ||
      !Find("Py_IsInitialized", &reader.is_initialized) || !Find("PyCode_Type", &g_types.code) ||
      !Find("PyBytes_Type", &g_types.bytes) || !Find("PyUnicode_Type", &g_types.text)) {
    return false;
  }
  const char* text = get_version();
  const uint32_t version = ParseVersion(text);
  Header* header = g_region.header();
  header->python_version = version;
  header->python_text = InternString(text, strlen(text));
  g_reader = reader;

  char line[256];
  const bool free_threaded = strstr(text, "free-threading") != nullptr;
  reader.layout = FindLayout(version >> 16, free_threaded);
  if (free_threaded) g_live_table.SetSharedGranules(true);
  if (Symbol("_Py_NegativeRefcount") != nullptr) {
    TurnOff("this is a debug build of CPython");
  } else if (reader.layout == nullptr) {
    snprintf(line, sizeof line, "CPython %u.%u%s is not known to this memtrace", version >> 24,
             version >> 16 & 255, free_threaded ? " (free-threaded)" : "");
    TurnOff(line);
  } else {
    TakeSmallKeys();
    g_capture = ChooseCapture(reader.layout, header->stack_depth);
    reader.specific = os::FindSpecific();
    g_reader = reader;
    // Last, for other threads of a program that has started long ago.
    std::atomic_thread_fence(std::memory_order_release);
    static_cast<Capture&>(g_reader) = {&FirstNode, &FirstSite, &FirstSite};
  }
  return true;
}

bool SelfTest(const char* tstate) {
  const Layout& l = *g_reader.layout;
  // The thread state is there, and up to 3.12 its first C frame lies in it, with nothing running at
  // the start: only what is found then has to be doubted.
  const char* frame = Load<const char*>(tstate + l.thread_frame);
  bool ok = true;
  if (l.cframe_frame >= 0 && frame != nullptr) {
    if (static_cast<uintptr_t>(frame - tstate) < 2048) {
      frame = Load<const char*>(frame + l.cframe_frame);
    } else {
      ok = os::SafeRead(frame + l.cframe_frame, &frame, sizeof frame);
    }
  }
  if (ok && frame == nullptr) return false;  // nothing runs yet: try again next time
  const int here = 1;
  int copy = 0;
  if (!os::SafeRead(&here, &copy, sizeof copy)) {  // not allowed to ask: trust the version
    static_cast<Capture&>(g_reader) = g_capture;
    return true;
  }
  // Shims of the interpreter's own hold no code object; look at the first frame that should.
  for (int hops = 0; ok && l.frame_owner >= 0 && hops < 8; hops++) {
    int8_t owner = 0;
    ok = os::SafeRead(frame + l.frame_owner, &owner, 1);
    if (!ok || owner < kFirstShimOwner) break;
    ok = os::SafeRead(frame + l.frame_previous, &frame, sizeof frame);
    if (ok && frame == nullptr) return false;
  }
  uintptr_t code = 0;
  const void* type = nullptr;
  const char* table = nullptr;
  int32_t first_line = -1;
  ok = ok && os::SafeRead(frame + l.frame_code, &code, sizeof code);
  if (l.version >= 0x30e) code &= ~uintptr_t{3};
  const char* c = reinterpret_cast<const char*>(code);
  ok = ok && os::SafeRead(c + l.object_type, &type, sizeof type) && type == g_types.code;
  ok = ok && os::SafeRead(c + l.code_filename, &table, sizeof table) &&
       os::SafeRead(table + l.object_type, &type, sizeof type) && type == g_types.text;
  ok = ok && os::SafeRead(c + l.code_table, &table, sizeof table) &&
       os::SafeRead(table + l.object_type, &type, sizeof type) && type == g_types.bytes;
  ok = ok && os::SafeRead(c + l.code_first_line, &first_line, sizeof first_line) &&
       first_line >= 0 && first_line < (1 << 26);
  if (!ok) {
    TurnOff("this interpreter's frames are not where its version keeps them");
    return false;
  }
  static_cast<Capture&>(g_reader) = g_capture;
  return true;
}

}  // namespace memtrace::python
