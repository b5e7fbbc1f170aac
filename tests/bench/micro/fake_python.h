// Python that does not run: a thread state, frames and code objects, laid out in memory as
// interpose/python/layout.h says for CPython 3.12, so that the recorder reads its stack as it does
// in a real interpreter. A benchmark moves it by hand: calls, returns, next lines.
//
// Everything lies in an arena at a fixed address, so that hashes of addresses, and with them the
// instructions that a lookup takes, are the same in every run.
//
// Threading: StartFakePython once, before the first FakeStack; a FakeStack belongs to the thread
// that made it. Errors: what cannot be mapped ends the process with a sentence.

#ifndef MEMTRACE_TESTS_BENCH_MICRO_FAKE_PYTHON_H_
#define MEMTRACE_TESTS_BENCH_MICRO_FAKE_PYTHON_H_

#include <cstddef>
#include <cstdint>

namespace memtrace::bench {

// Memory of the arena: zero, a multiple of 16, never given back.
char* ArenaBytes(size_t bytes);

// The recorder takes this for the process's interpreter. depth: as MEMTRACE_STACK_DEPTH.
void StartFakePython(uint32_t depth);
void StopFakePython();

// A code object whose n-th instruction is on its n-th line.
const char* NewCode(int number, int lines);

class FakeStack {
 public:
  explicit FakeStack(int max_depth = 256);

  void Call(const char* code);
  void Return();
  // level 0: the outermost frame.
  void SetLine(int level, int line);
  void NextLine(int line) { SetLine(depth_ - 1, line); }
  int depth() const { return depth_; }

 private:
  char* Frame(int level) const;
  void SetInnermost();

  char* tstate_;
  char* cframe_;
  char* frames_;
  int max_depth_;
  int depth_ = 0;
};

}  // namespace memtrace::bench

#endif  // MEMTRACE_TESTS_BENCH_MICRO_FAKE_PYTHON_H_
