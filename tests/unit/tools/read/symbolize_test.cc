#include "tools/read/symbolize.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <climits>

#include "absl/time/clock.h"

namespace memtrace {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

__attribute__((noinline)) void* KnownFunction() { return __builtin_return_address(0); }

__attribute__((noinline)) void* CallsKnownFunction() {
  void* address = KnownFunction();  // the line that is looked for
  asm volatile("" : : "r"(address) : "memory");
  return address;
}
constexpr int kCallLine = __LINE__ - 4;

// Three calls in one place of the machine code.
struct Inlined {
  __attribute__((always_inline)) void* Inner() { return KnownFunction(); }  // inner line
};
namespace {
__attribute__((always_inline)) inline void* Middle(Inlined* inlined) {
  return inlined->Inner();  // middle line
}
}  // namespace
constexpr int kInnerLine = __LINE__ - 7;
constexpr int kMiddleLine = __LINE__ - 4;

__attribute__((noinline)) void* Outer(Inlined* inlined) {
  void* address = Middle(inlined);  // outer line
  asm volatile("" : : "r"(address) : "memory");
  return address;
}
constexpr int kOuterLine = __LINE__ - 4;

Module OwnModule() {
  Dl_info info = {};
  dladdr(reinterpret_cast<void*>(&KnownFunction), &info);
  char path[PATH_MAX];
  const ssize_t bytes = readlink("/proc/self/exe", path, sizeof(path));
  Module module;
  module.path = std::string(path, static_cast<size_t>(bytes));
  module.bias = reinterpret_cast<uint64_t>(info.dli_fbase);
  return module;
}

TEST(Symbolize, FindsFunctionFileAndLine) {
  const Module module = OwnModule();
  const uint64_t address = reinterpret_cast<uint64_t>(CallsKnownFunction()) - module.bias;
  const NativeFrames frames = MakeSymbolizer()->Resolve(module, address);
  ASSERT_EQ(frames.size(), 1);
  const NativeSymbol& symbol = frames[0];
  EXPECT_THAT(symbol.function, HasSubstr("CallsKnownFunction()"));
  EXPECT_THAT(symbol.file, EndsWith("symbolize_test.cc"));
  EXPECT_EQ(symbol.line, kCallLine);
  EXPECT_GT(symbol.start_line, 0);
}

TEST(Symbolize, InlinedCallsComeFirst) {
  const Module module = OwnModule();
  Inlined inlined;
  const uint64_t address = reinterpret_cast<uint64_t>(Outer(&inlined)) - module.bias;
  const NativeFrames frames = MakeSymbolizer()->Resolve(module, address);
  ASSERT_EQ(frames.size(), 3);
  EXPECT_THAT(frames[0].function, HasSubstr("Inlined::Inner"));
  EXPECT_THAT(frames[1].function, HasSubstr("(anonymous namespace)::Middle"));
  EXPECT_THAT(frames[2].function, HasSubstr("Outer("));
  EXPECT_EQ(frames[0].line, kInnerLine);
  EXPECT_EQ(frames[1].line, kMiddleLine);
  EXPECT_EQ(frames[2].line, kOuterLine);
  for (const NativeSymbol& frame : frames) {
    EXPECT_THAT(frame.file, EndsWith("symbolize_test.cc"));
    EXPECT_GT(frame.start_line, 0);
  }
}

TEST(Symbolize, GoesOnWithSymbolTablesWhenTimeIsUp) {
  const Module module = OwnModule();
  const uint64_t address = reinterpret_cast<uint64_t>(CallsKnownFunction()) - module.bias;
  const auto symbolizer = MakeSymbolizer({}, absl::ZeroDuration());
  EXPECT_FALSE(symbolizer->ran_out_of_time());
  const NativeFrames frames = symbolizer->Resolve(module, address);
  EXPECT_TRUE(symbolizer->ran_out_of_time());
  ASSERT_EQ(frames.size(), 1);
  const NativeSymbol& symbol = frames[0];
  EXPECT_THAT(symbol.function, HasSubstr("CallsKnownFunction()"));
  EXPECT_EQ(symbol.line, 0);
}

TEST(Symbolize, AnotherBuildOfTheFileGivesNoNames) {
  Module module = OwnModule();
  const uint64_t address = reinterpret_cast<uint64_t>(CallsKnownFunction()) - module.bias;
  module.build_id = "0123456789abcdef";
  EXPECT_EQ(MakeSymbolizer()->Resolve(module, address).at(0).function, "");
}

// The last symbols have no size: _fini must not be the name of all that is behind it.
TEST(Symbolize, AnAddressBehindAllCodeHasNoName) {
  const Module module = OwnModule();
  EXPECT_EQ(MakeSymbolizer()->Resolve(module, 0xfffffff0).at(0).function, "");
}

TEST(Symbolize, WhatIsNoElfFileGivesNoNames) {
  for (const char* path : {"/no/such/file", "/dev/zero", "/etc/passwd", "/tmp", "", "[vdso]"}) {
    Module module;
    module.path = path;
    EXPECT_EQ(MakeSymbolizer()->Resolve(module, 4096).at(0).function, "") << path;
  }
}

TEST(Demangle, CppAndC) {
  EXPECT_EQ(Demangle("_ZNSt6vectorIiSaIiEE9push_backEOi"),
            "std::vector<int, std::allocator<int> >::push_back(int&&)");
  EXPECT_EQ(Demangle("malloc"), "malloc");
  EXPECT_EQ(Demangle("_Z"), "_Z");
}

TEST(Demangle, RustWithoutHashes) {
  EXPECT_EQ(Demangle("_ZN4core3fmt5write17h0123456789abcdefE"), "core::fmt::write");
  EXPECT_EQ(
      Demangle("_ZN56_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..Clone$GT$5clone17h01234567"
               "89abcdefE"),
      "<alloc::vec::Vec<T> as core::Clone>::clone");
  EXPECT_EQ(Demangle("_RNvCs1234_7mycrate3foo"), "mycrate::foo");
  EXPECT_EQ(Demangle("_RNvMNtCs9ltgdHTiPiY_4core6optionINtB2_6OptionhE6unwrap"),
            "<core::option::Option<u8>>::unwrap");
  EXPECT_EQ(Demangle("_RNCNvC7mycrate4main0B3_"), "mycrate::main::{closure#0}");
  EXPECT_EQ(Demangle("_RINvC1a1bReTlmEE"), "a::b::<&str, (i32, u32)>");
  EXPECT_EQ(Demangle("_ZN3std2rt10lang_start28_$u7b$$u7b$closure$u7d$$u7d$17h810133c49d8055e2E"),
            "std::rt::lang_start::{{closure}}");
  EXPECT_EQ(Demangle("_RINvC1a1bDINtC1c6FnOnceuEp6OutputhNtC1d4SendEL_E"),
            "a::b::<dyn c::FnOnce<(), Output = u8> + d::Send>");
  EXPECT_EQ(Demangle("_RINvC1a1bDNtC1c4Iterp4ItemhEL_E"), "a::b::<dyn c::Iter<Item = u8>>");
  // Constants: as people write them.
  EXPECT_EQ(Demangle("_RNvMs_NtCslNYArtu3iFV_5alloc3vecINtB4_3VecAhj10_E7reserve"),
            "<alloc::vec::Vec<[u8; 16]>>::reserve");
  EXPECT_EQ(Demangle("_RINvC1a1bKb1_Kc41_Kcan_Kin5_Kp_E"), "_RINvC1a1bKb1_Kc41_Kcan_Kin5_Kp_E");
  EXPECT_EQ(Demangle("_RINvC1a1bKb1_Kc41_Kca_Kin5_KpE"), "a::b::<true, 'A', '\\u{a}', -5, _>");
  EXPECT_EQ(Demangle("_RNvNCNKNvC8fastrand3RNG0s_03VAL"), "fastrand::RNG::{K#0}::{closure#1}::VAL");
}

TEST(Demangle, DamagedNamesStayAsTheyAre) {
  EXPECT_EQ(Demangle("_RNvCs"), "_RNvCs");
  EXPECT_EQ(Demangle("_RNvC99999999999999999999a"), "_RNvC99999999999999999999a");
  EXPECT_EQ(Demangle("_RB_"), "_RB_");
  // Back-references that multiply: ended by the limits, soon.
  std::string bomb = "_RIC1a";
  for (int i = 0; i < 40; ++i) bomb += "TB5_B5_B5_B5_E";
  bomb += "E";
  const absl::Time start = absl::Now();
  Demangle(bomb);
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
}

}  // namespace
}  // namespace memtrace
