// Reports of native and of mixed stacks: which frame a row is.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/unit/tools/model/random_profile.h"
#include "tools/model/aggregate.h"

namespace memtrace {
namespace {

using ::testing::ElementsAre;

constexpr const char* kProgram = "/home/me/app/count";
constexpr const char* kLibrary = "/home/me/app/libfoo.so";
constexpr const char* kNumpy = "/v/lib/python3.12/site-packages/numpy/core/_multiarray.so";

class NativeViews : public ::testing::Test {
 protected:
  NativeViews() {
    profile_.processes.push_back(PythonProcess(1, "/home/me/app"));
    view_.metric = Metric::kNow;
  }
  FrameId Native(const std::string& module, const std::string& function,
                 const std::string& source = "", int64_t line = 0) {
    const StringId file = profile_.InternString(source.empty() ? module : source);
    return profile_.InternFrame(
        {FrameKind::kNative,
         function.empty() ? 0 : profile_.InternFunction({profile_.InternString(function), file, 0}),
         line, profile_.InternString(module), ++address_});
  }
  FrameId Python(const std::string& file, int64_t line) {
    return PythonFrame(&profile_, file, "f", line);
  }
  FrameId New() {
    return Native("/usr/lib/libstdc++.so.6", "operator new(unsigned long)", "/build/gcc/new_op.cc",
                  50);
  }
  FrameId Allocator() {
    return Native(kProgram, "std::__new_allocator<int>::allocate(unsigned long, void const*)",
                  "/usr/include/c++/12/bits/new_allocator.h", 137);
  }
  FrameId Vector() {
    return Native(kProgram, "void std::vector<int>::_M_realloc_insert<int>(int&&)",
                  "/usr/include/c++/12/bits/vector.tcc", 439);
  }

  // Frames from the outermost to the innermost; each stack allocates more than the one before.
  void Add(const std::vector<FrameId>& frames, Domain domain = Domain::kMalloc,
           FrameId caller = 0) {
    Sample sample;
    sample.node = Stack(&profile_, frames);
    sample.caller = caller;
    sample.domain = domain;
    bytes_ -= 10;
    sample.values.inuse_bytes = bytes_;
    sample.values.inuse_objects = 1;
    profile_.AddSample(sample);
  }
  // The rows in the order of the samples.
  std::vector<std::string> Rows() {
    absl::StatusOr<Table> table = Aggregate(profile_, view_);
    EXPECT_TRUE(table.ok()) << table.status();
    std::vector<std::string> rows;
    if (!table.ok()) return rows;
    for (const Row& row : table->rows) {
      if (row.frames.empty()) {
        rows.push_back(row.label);
        continue;
      }
      const Place& place = *row.frames[0];
      std::string text = place.file.shown;
      if (place.line != 0) absl::StrAppend(&text, ":", place.line);
      if (view_.by == GroupBy::kFunction || place.line == 0) {
        absl::StrAppend(&text, " ", place.function);
      }
      rows.push_back(text);
    }
    return rows;
  }

  Profile profile_;
  View view_;
  uint64_t address_ = 0;
  int64_t bytes_ = 100'000;
};

TEST_F(NativeViews, ALineIsThatOfTheInnermostCodeThatIsNoAllocator) {
  const FrameId main = Native(kProgram, "main", "/home/me/app/count.cc", 9);
  Add({main, Vector(), Allocator(), New()});
  Add({main, Native(kLibrary, "foo_make"), New()});  // without a source: its caller has one
  Add({Native(kLibrary, "foo_start"), Native(kLibrary, "foo_grow"), New()});
  Add({New(), Allocator()});  // nothing but layers: the innermost one
  EXPECT_THAT(Rows(),
              ElementsAre("/usr/include/c++/12/bits/vector.tcc:439", "count.cc:9",
                          "libfoo.so foo_grow", "/usr/include/c++/12/bits/new_allocator.h:137"));
}

TEST_F(NativeViews, AFunctionNeedsNoSource) {
  view_.by = GroupBy::kFunction;
  Add({Native(kProgram, "main", "/home/me/app/count.cc", 9), Native(kLibrary, "foo_make"), New()});
  Add({Native(kProgram, "main", "/home/me/app/count.cc", 9), Native(kLibrary, ""), New()});
  EXPECT_THAT(Rows(), ElementsAre("libfoo.so foo_make", "count.cc main"));
}

TEST_F(NativeViews, APythonLineComesFirst) {
  Add({Python("/home/me/app/main.py", 3), Native(kLibrary, "foo", "/home/me/app/foo.c", 7)});
  Add({Native(kLibrary, "host", "/home/me/app/host.c", 1), Python("/home/me/app/main.py", 5),
       Native(kNumpy, "PyArray_New")});
  EXPECT_THAT(Rows(), ElementsAre("main.py:3", "main.py:5"));
}

TEST_F(NativeViews, OwnIsTheProgramsInnermostCodeInAnyLanguage) {
  view_.own = true;
  const FrameId line = Python("/home/me/app/main.py", 3);
  Add({line, Native(kLibrary, "foo", "/home/me/app/foo.c", 7), Vector(), Allocator(), New()});
  Add({line, Python("/usr/lib/python3.12/json/decoder.py", 8),
       Native(kNumpy, "PyArray_New", "", 0)});
  Add({Native(kProgram, "main", "/home/me/app/count.cc", 9), Vector(), New()});
  Add({Native(kProgram, "run"), Native(kProgram, "std::vector<int>::reserve(unsigned long)"),
       Native("/usr/lib/libc.so.6", "getline")});
  Add({Native("/usr/lib/libfoo.so", "start"), New()});
  EXPECT_THAT(Rows(),
              ElementsAre("foo.c:7", "main.py:3", "count.cc:9", "count run", "(no own line)"));
}

TEST_F(NativeViews, CumulativeCountsCallersInAnyLanguage) {
  view_.cumulative = true;
  Add({Native(kProgram, "main", "/home/me/app/count.cc", 9), Python("/home/me/app/main.py", 3),
       Native(kLibrary, "foo", "/home/me/app/foo.c", 7), New()});
  EXPECT_THAT(Rows(), ::testing::UnorderedElementsAre("count.cc:9", "main.py:3", "foo.c:7"));
}

TEST_F(NativeViews, AStackIsShownWhole) {
  view_.by = GroupBy::kTraceback;
  Add({Native(kProgram, "main", "/home/me/app/count.cc", 9), Python("/home/me/app/main.py", 3),
       Vector(), New()});
  absl::StatusOr<Table> table = Aggregate(profile_, view_);
  ASSERT_TRUE(table.ok()) << table.status();
  ASSERT_EQ(table->rows.size(), 1u);
  std::vector<std::string> functions;
  for (const PlaceRef& place : table->rows[0].frames) functions.push_back(place->function);
  EXPECT_THAT(functions,
              ElementsAre("operator new(unsigned long)",
                          "void std::vector<int>::_M_realloc_insert<int>(int&&)", "f", "main"));
}

TEST_F(NativeViews, AModuleIsTheOneThatCalledTheAllocator) {
  view_.by = GroupBy::kModule;
  const FrameId line = Python("/home/me/app/main.py", 3);
  Add({line, Native(kLibrary, "foo"), New()});
  Add({line, Native(kLibrary, "foo"), Native("/usr/lib/libc.so.6", "getline")});
  Add({line}, Domain::kPythonObj);
  Add({line}, Domain::kMalloc, Native(kNumpy, "PyArray_New"));      // without --native
  Add({line}, Domain::kMalloc, Native("/usr/bin/python3.12", ""));  // the interpreter's own
  Add({line, Native("", "")});                                      // made at run time
  Add({Native(kLibrary, "bar"), line, Native(kNumpy, "PyArray_New")}, Domain::kPythonObj);
  absl::StatusOr<Table> table = Aggregate(profile_, view_);
  ASSERT_TRUE(table.ok()) << table.status();
  std::map<std::string, int64_t> blocks;
  for (const Row& row : table->rows) {
    blocks[row.frames.empty() ? row.label : row.frames[0]->file.shown] = row.values.inuse_objects;
  }
  const std::map<std::string, int64_t> expected = {{"libfoo.so", 1},
                                                   {"/usr/lib/libc.so.6", 1},
                                                   {"(Python)", 2},
                                                   {"site-packages/numpy/core/_multiarray.so", 2},
                                                   {"(unknown module)", 1}};
  EXPECT_EQ(blocks, expected);
}

TEST_F(NativeViews, ANativeProgramHasNoPythonRow) {
  view_.by = GroupBy::kModule;
  profile_.processes[0].python.clear();
  Add({});
  Add({}, Domain::kMalloc, Native("/usr/bin/python", "main"));
  EXPECT_THAT(Rows(), ElementsAre("(unknown module)", "/usr/bin/python "));
}

}  // namespace
}  // namespace memtrace
