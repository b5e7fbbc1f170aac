#include "interpose/unwind/cfi.h"

#include <alloca.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include "interpose/os/os.h"
#include "tests/unit/interpose/support.h"

namespace memtrace::unwind {
namespace {

struct Registers {
  uintptr_t pc, sp, bp;
};

// The caller's registers, by the rule for the place where it is.
bool Up(Registers* r) {
  const Rule rule = FindRule(r->pc - 1);
  uintptr_t cfa;
  switch (rule.kind) {
    case RuleKind::kFromSp:
      cfa = r->sp + static_cast<uintptr_t>(intptr_t{rule.cfa_offset});
      break;
    case RuleKind::kFromBp:
      cfa = r->bp + static_cast<uintptr_t>(intptr_t{rule.cfa_offset});
      break;
    case RuleKind::kLoadFromBp:
      cfa =
          *reinterpret_cast<uintptr_t*>(r->bp + static_cast<uintptr_t>(intptr_t{rule.cfa_offset}));
      break;
    default:
      return false;
  }
  const uintptr_t base = rule.bp == SavedBp::kAtCfa ? cfa : r->bp;
  if (rule.bp != SavedBp::kUnchanged) {
    r->bp = *reinterpret_cast<uintptr_t*>(base + static_cast<uintptr_t>(intptr_t{rule.bp_offset}));
  }
  r->pc = *reinterpret_cast<uintptr_t*>(cfa - 8);
  r->sp = cfa;
  return r->pc != 0;
}

struct Stacks {
  std::vector<uintptr_t> ours;
  std::vector<uintptr_t> libc;
};

__attribute__((noinline)) void Take(Stacks* out) {
  const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  Registers r = {reinterpret_cast<uintptr_t*>(frame)[1], frame + 16,
                 reinterpret_cast<uintptr_t*>(frame)[0]};
  do {
    out->ours.push_back(r.pc);
  } while (out->ours.size() < 200 && Up(&r));
  void* all[200];
  const int count = backtrace(all, 200);
  for (int i = 1; i < count; i++) out->libc.push_back(reinterpret_cast<uintptr_t>(all[i]));
}

__attribute__((noinline)) void Plain(Stacks* out) {
  Take(out);
  asm volatile("" ::: "memory");  // no tail call
}

// Its frame has no fixed size: it is found from rbp.
__attribute__((noinline)) void WithAlloca(Stacks* out, size_t bytes) {
  auto* memory = static_cast<char*>(alloca(bytes));
  memset(memory, 1, bytes);
  asm volatile("" ::"r"(memory) : "memory");
  Plain(out);
  asm volatile("" ::"r"(memory) : "memory");
}

// Its frame is aligned to more than the stack is.
__attribute__((noinline)) void Realigned(Stacks* out, size_t bytes) {
  alignas(128) char memory[256];
  memset(memory, 1, sizeof memory);
  asm volatile("" ::"r"(memory) : "memory");
  WithAlloca(out, bytes);
  asm volatile("" ::"r"(memory) : "memory");
}

int CompareThrough(const void* a, const void*) {
  auto* const* out = static_cast<Stacks* const*>(a);
  if ((*out)->ours.empty()) Realigned(*out, 400);
  return 0;
}

// The last entries of backtrace() may lie beyond what has a rule (_start says that it has no
// caller).
void ExpectSame(const Stacks& stacks) {
  ASSERT_GT(stacks.ours.size(), 3u);
  ASSERT_LE(stacks.ours.size(), stacks.libc.size());
  for (size_t i = 0; i < stacks.ours.size(); i++) {
    EXPECT_EQ(stacks.ours[i], stacks.libc[i]) << "frame " << i;
  }
  EXPECT_LE(stacks.libc.size() - stacks.ours.size(), 1u);
}

class Cfi : public ::testing::Test {
 protected:
  void SetUp() override {
    // They have a backtrace, a qsort and frames of their own.
    if (testing::kSanitized) GTEST_SKIP() << "sanitizers put themselves in between";
    os::InitModules();
  }
};

TEST_F(Cfi, WalksAsTheCLibraryDoes) {
  Stacks plain, with_alloca, realigned;
  Plain(&plain);
  ExpectSame(plain);
  WithAlloca(&with_alloca, 1000);
  ExpectSame(with_alloca);
  for (size_t bytes : {16u, 40u, 100u, 1000u}) {
    Stacks stacks;
    Realigned(&stacks, bytes);
    ExpectSame(stacks);
  }
}

TEST_F(Cfi, WalksThroughTheCLibrary) {
  Stacks stacks;
  Stacks* items[] = {&stacks, &stacks};
  qsort(items, 2, sizeof items[0], CompareThrough);
  ExpectSame(stacks);
}

TEST_F(Cfi, AFunctionIsFoundAsAWhole) {
  const auto start = reinterpret_cast<uintptr_t>(&Plain);
  const CodeRange range = FindFunction(start + 1);
  EXPECT_EQ(range.start, start);
  EXPECT_GT(range.end, start + 4);
  EXPECT_FALSE(range.Holds(range.end));
  EXPECT_FALSE(CodeRange{}.Holds(0));
}

TEST_F(Cfi, NothingIsKnownOfWhatIsNoCode) {
  static char data[64];
  EXPECT_EQ(FindRule(reinterpret_cast<uintptr_t>(data)).kind, RuleKind::kNone);
  EXPECT_EQ(FindRule(0).kind, RuleKind::kNone);
  EXPECT_EQ(FindRule(~uintptr_t{0}).kind, RuleKind::kNone);
  std::vector<char> heap(64);
  EXPECT_EQ(FindRule(reinterpret_cast<uintptr_t>(heap.data())).kind, RuleKind::kNone);
}

// Each address of the C library: no instruction is unknown, and every function begins the same way.
TEST_F(Cfi, EveryFunctionOfTheCLibraryHasRules) {
  os::Module libc;
  ASSERT_TRUE(os::FindModule(reinterpret_cast<uintptr_t>(&qsort), &libc));
  size_t functions = 0, complex = 0;
  for (uintptr_t at = libc.start; at < libc.end; at += 16) {
    const CodeRange range = FindFunction(at);
    if (range.start == range.end) continue;
    functions++;
    for (uintptr_t address = range.start; address < range.end && address < range.start + 64;
         address++) {
      const Rule rule = FindRule(address);
      if (rule.kind == RuleKind::kComplex) complex++;
    }
  }
  EXPECT_GT(functions, 1000u);
  EXPECT_LT(complex, functions / 10);  // procedure linkage tables and the like
}

}  // namespace
}  // namespace memtrace::unwind
