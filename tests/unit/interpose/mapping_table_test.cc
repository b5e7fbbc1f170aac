// The table of intervals against an ordered map.

#include "interpose/mapping_table.h"

#include <gtest/gtest.h>

#include <iterator>
#include <map>
#include <random>

namespace memtrace::testing {
namespace {

using Model = std::map<uint64_t, uint64_t>;  // start -> end

Model::const_iterator Behind(const Model& model, uint64_t address) {
  auto at = model.upper_bound(address);
  if (at != model.begin() && std::prev(at)->second > address) --at;
  return at;
}

void ExpectSame(MappingTable* table, const Model& model) {
  ASSERT_EQ(table->size(), model.size());
  uint64_t from = 0;
  for (const auto& [start, end] : model) {
    const Mapping* m = table->At(from);
    ASSERT_NE(m, nullptr);
    ASSERT_EQ(m->start, start);
    ASSERT_EQ(m->end, end);
    from = m->end;
  }
  EXPECT_EQ(table->At(from), nullptr);
}

// Enough intervals for many chunks; at the end none, and the chunks serve again.
TEST(MappingTable, IsAnOrderedMap) {
  MappingTable table;
  ASSERT_TRUE(table.Init(/*scarce=*/false));
  Model model;
  std::mt19937_64 random(1);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 40000; ++i) {
      const uint64_t start = random() % 1000000 * 16;
      const uint64_t end = start + 1 + random() % 16;
      const auto behind = Behind(model, start);
      Mapping* m = table.At(start);
      ASSERT_EQ(m == nullptr, behind == model.end());
      if (m != nullptr) {
        ASSERT_EQ(m->start, behind->first);
      }
      if (m == nullptr || m->start >= end) {
        ASSERT_TRUE(table.Insert({start, end, 1, 0, 0, 0, MappingKind::kAnonymous}));
        model[start] = end;
      } else if (random() % 2 == 0) {  // drawn in from below: the chunk's key stays
        const uint64_t last = behind->second;
        model.erase(behind);
        m->start = last - 1;
        model[last - 1] = last;
      } else {
        model.erase(behind);
        table.Erase(m);
      }
    }
    ExpectSame(&table, model);
    while (!model.empty()) {
      table.Erase(table.At(model.begin()->first));
      model.erase(model.begin());
    }
    ExpectSame(&table, model);
  }
}

TEST(MappingTable, SaysWhenItIsFull) {
  MappingTable table;
  ASSERT_TRUE(table.Init(/*scarce=*/true));
  uint64_t count = 0;
  while (table.Insert({count * 2, count * 2 + 1, 1, 0, 0, 0, MappingKind::kFile})) ++count;
  EXPECT_GT(count, 8000u);
  EXPECT_EQ(table.size(), count);
  EXPECT_EQ(table.At(count * 2 - 2)->start, count * 2 - 2);
  for (uint64_t i = 0; i < count; ++i) table.Erase(table.At(0));
  EXPECT_EQ(table.At(0), nullptr);
  EXPECT_TRUE(table.Insert({7, 8, 1, 0, 0, 0, MappingKind::kFile}));
}

}  // namespace
}  // namespace memtrace::testing
