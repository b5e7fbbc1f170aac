// A region with everything that a reader can meet: small and busy cells, inherited ones, several
// threads' cells for one site, native callers with and without a module, a deep stack with labels,
// losses.

#ifndef MEMTRACE_TESTS_UNIT_TOOLS_READ_RICH_REGION_H_
#define MEMTRACE_TESTS_UNIT_TOOLS_READ_RICH_REGION_H_

#include <string>

#include "tests/unit/tools/read/region_builder.h"

namespace memtrace::testing {

inline void FillThreadsOf(RegionBuilder* b, uint32_t small, uint32_t busy, int threads) {
  for (int i = 0; i < threads; ++i) {
    const uint32_t slot = b->Thread(5000 + i, "pool-" + std::to_string(i),
                                    i % 3 == 0 ? ThreadState::kEnded : ThreadState::kLive);
    SmallCell& cell = b->SmallCellAt(small, slot);
    cell.alloc = PackSmall(3, 300 + i);
    cell.free = PackSmall(2, 200);
    cell.saved = PackSmall(1, 100);
    b->SmallEpochAt(small, slot) = 2;
    Cell& full = b->CellAt(busy, slot);
    full.alloc = {1000u + i, 64000};
    full.free = {500, 32000};
    full.saved = {-16, -1, 2};
  }
}

inline void FillRich(RegionBuilder* b) {
  FillSample(b);
  b->ThreadAt(0).state = static_cast<uint32_t>(ThreadState::kInherited);
  b->header().python_text = b->String("3.12.1 (main, Dec  7 2023) [GCC 12.2.0]");
  b->header().inherited_sites = 2;
  b->header().inherited_busy = kFirstBusySite + 1;
  b->header().flags = kFlagThreaded | kFlagStacksTruncated;
  b->header().lost[static_cast<int>(Loss::kRegionFull)].events = 3;
  b->header().lost[static_cast<int>(Loss::kRegionFull)].bytes = 4096;
  uint32_t node = 0;
  for (uint32_t depth = 1; depth <= 60; ++depth) {
    const std::string name = "level_\xc3\xa9_" + std::to_string(depth % 7);
    node = b->Node(node, b->PythonFrame(b->Code(name, "pkg/deep.py", depth), depth + 2));
    if (depth % 25 == 0) node = b->Node(node, b->LabelFrame("part " + std::to_string(depth)));
  }
  const uint32_t module = b->Module("/usr/lib/x86_64-linux-gnu/libc.so.6");
  const uint32_t caller = b->NativeFrame(module, 0x2345);
  const uint32_t nowhere = b->NativeFrame(0, 0x7f0012345678);
  const uint32_t small = b->SmallSite(node, 0, Domain::kPythonMem, 1);
  b->SmallSite(node, caller, Domain::kMalloc, 1);
  const uint32_t busy = b->Site(node, nowhere, Domain::kMmap, 1);
  b->Site(0, caller, Domain::kMalloc, 1);
  FillThreadsOf(b, small, busy, 5);
  b->SmallCellAt(small, 0).alloc = PackSmall(5, 500);  // inherited
  b->CellAt(busy, 0).alloc = {10, 1000};
  b->Point(2000000, 4000, 9000);
  b->Mapping(2, 0x7f0000000000, 0x7f0000100000, 0, MappingKind::kPythonAllocator);
  b->Mapping(4, 0x7f0000200000, 0x7f0000300000, small, MappingKind::kAnonymous);
  b->Mapping(3, 0x7f0000400000, 0x7f0000500000, busy, MappingKind::kAnonymous);
}

// Native stacks beside the Python ones: stacks in which the two take turns, a recursion, one that
// is native alone, one whose native part is cut, and one that has more evaluations than Python
// frames.
inline void FillMixed(RegionBuilder* b) {
  FillSample(b);  // its sites' callers are taken for native nodes: 0 and 1
  b->header().flags = kFlagNativeStacks;
  b->header().unwind_method = b->String("incremental");
  b->header().stacks_checked = 1000;
  b->header().stacks_different = 1;
  b->header().stacks_cut = 2;
  const uint32_t evaluation = b->EvaluationFrame();
  const uint32_t library = b->Module("/app/libmix.so");
  const uint32_t code = b->Code("recur", "/home/me/mix.py", 10);
  uint32_t python = 0;
  uint32_t native = b->NativeNode(0, b->NativeFrame(b->Module("/app/program"), 0x100));
  for (uint32_t depth = 1; depth <= 20; ++depth) {
    if (depth % 5 == 0) python = b->Node(python, b->LabelFrame("turn"));
    python = b->Node(python, evaluation);
    python = b->Node(python, b->PythonFrame(code, 10 + depth));
    python = b->Node(python, b->PythonFrame(code, 40 + depth));
    native = b->NativeNode(native, evaluation);
    native = b->NativeNode(native, b->NativeFrame(library, 0x1000 + depth % 3));
    b->SmallCellAt(b->SmallSite(python, native, Domain::kMalloc, 1), 1).alloc = PackSmall(1, 10);
  }
  const uint32_t alone = b->NativeNode(0, b->NativeFrame(library, 0x2000));
  const uint32_t more = b->NativeNode(b->NativeNode(alone, evaluation), evaluation);
  for (const auto& [node, caller] :
       {std::pair(0u, alone), std::pair(python, alone), std::pair(2u, more), std::pair(0u, 0u)}) {
    b->CellAt(b->Site(node, caller, Domain::kMalloc, 1), 1).alloc = {5, 50};
  }
}

}  // namespace memtrace::testing

#endif  // MEMTRACE_TESTS_UNIT_TOOLS_READ_RICH_REGION_H_
