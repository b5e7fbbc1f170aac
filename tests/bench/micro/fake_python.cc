#include "tests/bench/micro/fake_python.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <atomic>
#include <string>

#include "interpose/os/os.h"
#include "interpose/python/code.h"
#include "interpose/python/frames.h"
#include "interpose/python/layout.h"

namespace memtrace::bench {
namespace {

constexpr uintptr_t kArena = uintptr_t{8} << 30;
constexpr size_t kArenaBytes = size_t{1} << 30;
constexpr int kFrameBytes = 128;
constexpr int kCodeBytes = 512;  // with room for what the live table keeps beside a code object

char* g_arena = nullptr;
std::atomic<size_t> g_used{0};
python::TssKey g_key;

// Before the recorder, whose tables might get these addresses.
__attribute__((constructor(101))) void MapArena() {
  void* const wanted = reinterpret_cast<void*>(kArena);
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
  void* const got = mmap(wanted, kArenaBytes, PROT_READ | PROT_WRITE, kFlags, -1, 0);
  if (got == wanted) g_arena = static_cast<char*>(got);
}

const python::Layout* FindLayout() {
  for (const python::Layout& layout : python::kLayouts) {
    if (layout.version == 0x30c && !layout.free_threaded) return &layout;
  }
  fprintf(stderr, "no layout of CPython 3.12 in the table: choose another one here\n");
  abort();
}

const python::Layout& L() {
  static const python::Layout* const layout = FindLayout();
  return *layout;
}

template <class T>
void Store(char* to, T value) {
  memcpy(to, &value, sizeof value);
}

const char* Type(int number) {
  static const char* const types = ArenaBytes(64);
  return types + 16 * number;
}

char* NewText(const std::string& text) {
  char* object = ArenaBytes(64 + text.size());
  Store(object + L().object_type, Type(0));
  Store(object + L().text_length, uint64_t{text.size()});
  const uint32_t kKindOneByte = 1, kCompactAscii = 3;
  Store(object + L().text_state, kKindOneByte << 2 | kCompactAscii << 5);
  memcpy(object + L().text_ascii_data, text.data(), text.size());
  return object;
}

// For each instruction an entry "next line, one unit of bytecode, two columns".
char* NewLineTable(int lines) {
  const uint64_t bytes = 3 * static_cast<uint64_t>(lines);
  char* object = ArenaBytes(64 + bytes);
  Store(object + L().object_type, Type(1));
  Store(object + L().var_size, bytes);
  for (int i = 0; i < lines; i++) {
    const int kind = i == 0 ? 10 : 11;
    object[L().bytes_data + 3 * i] = static_cast<char>(0x80 | kind << 3);
  }
  return object;
}

void SetCapture(const python::Capture& capture) {
  static_cast<python::Capture&>(python::g_reader) = capture;
}

}  // namespace

char* ArenaBytes(size_t bytes) {
  bytes = (bytes + 15) & ~size_t{15};
  const size_t at = g_used.fetch_add(bytes);
  if (g_arena == nullptr || at + bytes > kArenaBytes) {
    fprintf(stderr, "no memory for the benchmark's made-up interpreter\n");
    exit(1);
  }
  return g_arena + at;
}

void StartFakePython(uint32_t depth) {
  if (g_key.is_initialized == 0) {
    pthread_key_create(&g_key.key, nullptr);
    g_key.is_initialized = 1;
  }
  python::g_types = {.code = Type(2), .bytes = Type(1), .text = Type(0)};
  python::g_reader.key = &g_key;
  python::g_reader.layout = &L();
  python::g_reader.specific = os::FindSpecific();
  SetCapture(python::ChooseCapture(&L(), depth));
}

void StopFakePython() { SetCapture({}); }

const char* NewCode(int number, int lines) {
  char* code = ArenaBytes(kCodeBytes + 2 * static_cast<size_t>(lines));
  Store(code + L().object_type, Type(2));
  Store(code + L().code_first_line, 10 * number + 1);
  Store(code + L().code_filename, NewText("made_up/module_" + std::to_string(number) + ".py"));
  Store(code + L().code_name, NewText("function_" + std::to_string(number)));
  Store(code + L().code_table, NewLineTable(lines));
  Store(code + L().code_first_traceable, 0);
  return code;
}

FakeStack::FakeStack(int max_depth) : max_depth_(max_depth) {
  tstate_ = ArenaBytes(256);
  cframe_ = ArenaBytes(64);
  frames_ = ArenaBytes(static_cast<size_t>(kFrameBytes) * static_cast<size_t>(max_depth));
  if (L().cframe_frame >= 0) Store(tstate_ + L().thread_frame, cframe_);
  SetInnermost();
  pthread_setspecific(g_key.key, tstate_);
}

char* FakeStack::Frame(int level) const { return frames_ + level * kFrameBytes; }

void FakeStack::SetInnermost() {
  const char* frame = depth_ > 0 ? Frame(depth_ - 1) : nullptr;
  if (L().cframe_frame >= 0) {
    Store(cframe_ + L().cframe_frame, frame);
  } else {
    Store(tstate_ + L().thread_frame, frame);
  }
}

void FakeStack::Call(const char* code) {
  if (depth_ == max_depth_) abort();
  char* frame = Frame(depth_);
  Store(frame + L().frame_previous, depth_ > 0 ? Frame(depth_ - 1) : nullptr);
  Store(frame + L().frame_code, code);
  depth_++;
  NextLine(0);
  SetInnermost();
}

void FakeStack::Return() {
  depth_--;
  SetInnermost();
}

void FakeStack::SetLine(int level, int line) {
  const auto code = python::Load<uintptr_t>(Frame(level) + L().frame_code);
  Store(Frame(level) + L().frame_ip,
        code + static_cast<uintptr_t>(L().code_bytes) + 2 * static_cast<uintptr_t>(line));
}

}  // namespace memtrace::bench
