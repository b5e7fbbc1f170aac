// Bytes that no writer of ours made: every number is checked. (Ten thousand changes at random and
// bombs: tests/unit/tools/hostile.)

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/tools/model/pprof_bytes.h"
#include "tests/unit/tools/model/profile_text.h"
#include "tests/unit/tools/model/random_profile.h"
#include "tools/model/snapshot_file.h"

namespace memtrace {
namespace {

using ::testing::HasSubstr;

TEST(HostileSnapshot, EveryIndexIsChecked) {
  const pprof::Profile good = Decoded(*SnapshotBytes(SmallProfile()));
  ASSERT_TRUE(ReadSnapshotBytes(Encoded(good)).ok());
  const std::vector<std::pair<const char*, std::function<void(pprof::Profile*)>>> kinds = {
      {"location of a sample", [](auto* p) { p->mutable_sample(0)->set_location_id(0, 999); }},
      {"location 0", [](auto* p) { p->mutable_sample(0)->set_location_id(0, 0); }},
      {"function of a location",
       [](auto* p) { p->mutable_location(0)->mutable_line(0)->set_function_id(999); }},
      {"mapping of a location", [](auto* p) { p->mutable_location(0)->set_mapping_id(999); }},
      {"name of a function", [](auto* p) { p->mutable_function(0)->set_name(999); }},
      {"negative string", [](auto* p) { p->mutable_function(0)->set_filename(-1); }},
      {"file of a mapping", [](auto* p) { p->mutable_mapping(0)->set_filename(1 << 30); }},
      {"same id twice", [](auto* p) { p->mutable_location(1)->set_id(p->location(0).id()); }},
      {"too few values", [](auto* p) { p->mutable_sample(0)->mutable_value()->RemoveLast(); }},
      {"too many values", [](auto* p) { p->mutable_sample(0)->add_value(1); }},
      {"no values", [](auto* p) { p->mutable_sample(0)->clear_value(); }},
      {"absurd value", [](auto* p) { p->mutable_sample(0)->set_value(0, INT64_MAX); }},
      {"no string table", [](auto* p) { p->clear_string_table(); }},
      {"string 0 is not empty", [](auto* p) { p->set_string_table(0, "x"); }},
      {"no sample types", [](auto* p) { p->clear_sample_type(); }},
      {"process", [](auto* p) { p->mutable_memtrace()->mutable_columns()->set_process(0, 7); }},
      {"thread", [](auto* p) { p->mutable_memtrace()->mutable_columns()->set_thread(0, 7); }},
      {"domain", [](auto* p) { p->mutable_memtrace()->mutable_columns()->set_domain(0, 70); }},
      {"kind", [](auto* p) { p->mutable_memtrace()->mutable_columns()->set_location_kind(0, 70); }},
      {"label", [](auto* p) { p->mutable_memtrace()->mutable_columns()->add_label(1 << 30); }},
      {"labels of some", [](auto* p) { p->mutable_memtrace()->mutable_columns()->add_label(0); }},
      {"short columns",
       [](auto* p) { p->mutable_memtrace()->mutable_columns()->mutable_domain()->RemoveLast(); }},
      {"no columns", [](auto* p) { p->mutable_memtrace()->clear_columns(); }},
      {"caller of an empty stack",
       [](auto* p) {
         p->mutable_sample(0)->clear_location_id();
         p->mutable_memtrace()->mutable_columns()->set_has_caller(0, true);
       }},
      {"temporary",
       [](auto* p) {
         p->mutable_memtrace()->mutable_columns()->set_temporary_bytes(0, INT64_MIN);
       }},
      {"ledger",
       [](auto* p) { p->mutable_memtrace()->mutable_process(0)->add_ledger()->set_rss_bytes(1); }},
      {"part of a ledger",
       [](auto* p) {
         auto* ledger = p->mutable_memtrace()->mutable_process(0)->add_ledger();
         ledger->add_part()->set_bytes(-1);
         ledger->add_part()->set_kind(1);
         ledger->mutable_part(1)->set_bytes(1);
       }},
      {"figure of a ledger",
       [](auto* p) { p->mutable_memtrace()->mutable_process(0)->add_ledger()->set_arenas(-1); }},
      {"timeline", [](auto* p) {
         p->mutable_memtrace()->mutable_process(0)->mutable_timeline()->add_elapsed_ns(1);
       }}};
  for (const auto& [what, spoil] : kinds) {
    pprof::Profile bad = good;
    spoil(&bad);
    const absl::StatusOr<Profile> read = ReadSnapshotBytes(Encoded(bad));
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument) << what;
  }
}

TEST(HostileSnapshot, CutAnywhereIsAnError) {
  const std::string bytes = *SnapshotBytes(RandomProfile(11, 50));
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_FALSE(ReadSnapshotBytes(bytes.substr(0, size)).ok()) << "cut to " << size << " bytes";
  }
}

TEST(HostileSnapshot, ChangedFilesFailTheChecksum) {
  const std::string bytes = *SnapshotBytes(RandomProfile(19, 60));
  const std::string good = ProfileText(RandomProfile(19, 60));
  std::mt19937 random(23);
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string changed = bytes;
    const size_t at = 10 + random() % (changed.size() - 10);  // behind gzip's own header
    changed[at] ^= static_cast<char>(1 + random() % 255);
    const absl::StatusOr<Profile> read = ReadSnapshotBytes(changed);
    // Some bits of compressed data have no meaning: then the content is the same.
    if (read.ok()) {
      EXPECT_EQ(ProfileText(*read), good) << "byte " << at;
    } else {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1900);
}

// Fields that nobody knows take no memory, but time.
TEST(HostileSnapshot, UnknownFieldsWithoutEndAreRefused) {
  std::string bomb;
  for (int i = 0; i < 8000000; ++i) bomb += std::string("\xfa\xff\x05\x02zz", 6);
  const absl::Status status = ReadSnapshotBytes(Gzip(bomb)).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("far more memory than a snapshot"));
}

}  // namespace
}  // namespace memtrace
