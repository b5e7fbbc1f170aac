#include "tools/model/ledger.h"

#include <gtest/gtest.h>

namespace memtrace {
namespace {

Ledger Sound() {
  Ledger ledger;
  ledger.rss_bytes = 100;
  ledger.live_bytes = 70;
  ledger.parts = {{LedgerKind::kLive, 60, {}},
                  {LedgerKind::kFiles, 35, {{"/lib/a.so", 20}, {"/lib/b.so", 15}}},
                  {LedgerKind::kUnexplained, 5, {}}};
  return ledger;
}

TEST(Ledger, SumsUpOrNot) {
  EXPECT_TRUE(SumsUp(Sound()));
  EXPECT_TRUE(SumsUp(Ledger()));
  Ledger ledger = Sound();
  ledger.parts[0].bytes = 61;
  EXPECT_FALSE(SumsUp(ledger));
  ledger = Sound();
  ledger.parts[0].bytes = -60;
  ledger.parts[1].bytes = 155;
  EXPECT_FALSE(SumsUp(ledger)) << "a negative part";
  ledger = Sound();
  ledger.parts[1].items[0].bytes = 21;
  EXPECT_FALSE(SumsUp(ledger)) << "items that are more than the part";
  ledger = Sound();
  ledger.parts.push_back({LedgerKind::kLive, 0, {}});
  EXPECT_FALSE(SumsUp(ledger)) << "a kind twice";
  ledger = Sound();
  ledger.parts[0].bytes = INT64_MAX;
  ledger.parts[1].bytes = INT64_MAX;
  EXPECT_FALSE(SumsUp(ledger)) << "an overflow";
}

TEST(Ledger, PartsOfOneKindAreJoined) {
  Ledger ledger = Sound();
  ledger.parts.push_back({LedgerKind::kUnexplained, 3, {{"later", 3}}});
  ledger.rss_bytes += 3;
  JoinSameKinds(&ledger);
  EXPECT_TRUE(SumsUp(ledger));
  EXPECT_EQ(ledger.parts.size(), 3u);
  EXPECT_EQ(ledger.Bytes(LedgerKind::kUnexplained), 8);
  EXPECT_EQ(ledger.Bytes(LedgerKind::kStacks), 0);
}

}  // namespace
}  // namespace memtrace
