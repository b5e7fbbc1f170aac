// What is written is read again, and is what other programs expect.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/unit/tools/model/gzip_bytes.h"
#include "tests/unit/tools/model/pprof_bytes.h"
#include "tests/unit/tools/model/profile_text.h"
#include "tests/unit/tools/model/random_profile.h"
#include "tools/model/snapshot_file.h"

namespace memtrace {
namespace {

using ::testing::HasSubstr;

TEST(SnapshotBytes, HoldEverything) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const Profile profile = RandomProfile(seed);
    const absl::StatusOr<std::string> bytes = SnapshotBytes(profile);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    const absl::StatusOr<Profile> read = ReadSnapshotBytes(*bytes);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(ProfileText(*read), ProfileText(profile));
    EXPECT_EQ(*SnapshotBytes(*read), *bytes) << "written again, the bytes differ";
  }
}

TEST(SnapshotBytes, HoldAnEmptyProfile) {
  const Profile empty;
  const absl::StatusOr<Profile> read = ReadSnapshotBytes(*SnapshotBytes(empty));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ProfileText(*read), ProfileText(empty));
}

TEST(SnapshotBytes, ManySamplesInSeveralPieces) {
  const Profile profile = RandomProfile(1, 20000);
  ASSERT_GT(profile.samples().size(), 10000u);
  const absl::StatusOr<Profile> read = ReadSnapshotBytes(*SnapshotBytes(profile));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ProfileText(*read), ProfileText(profile));
}

// Their content is hundreds of times what deflate could make of it.
TEST(SnapshotBytes, DeepRecursionIsNoBomb) {
  Profile profile;
  profile.processes.emplace_back();
  Frame frame;
  frame.kind = FrameKind::kPython;
  frame.function = profile.InternFunction(Function{});
  frame.line = 1;
  const FrameId frame_id = profile.InternFrame(frame);
  NodeId node = 0;
  constexpr int kDepth = 8000;
  for (int i = 0; i < kDepth; ++i) {
    Sample sample;
    sample.node = node = profile.InternNode(node, frame_id);
    sample.domain = Domain::kPythonObj;
    sample.values.alloc_objects = sample.values.alloc_bytes = 1;
    profile.AddSample(sample);
  }
  const absl::StatusOr<Profile> read = ReadSnapshotBytes(*SnapshotBytes(profile));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->samples().size(), size_t{kDepth});
  EXPECT_EQ(read->Stack(read->samples().back().node).size(), size_t{kDepth});
}

TEST(SnapshotBytes, BeginWithTheHeader) {
  const std::string bytes = *SnapshotBytes(RandomProfile(3, 20000));
  ReadOptions header;
  header.header_only = true;
  // The samples are cut away; the header is read all the same.
  const absl::StatusOr<Profile> read = ReadSnapshotBytes(bytes.substr(0, bytes.size() / 2), header);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->processes.size(), 2u);
  EXPECT_TRUE(read->samples().empty());
}

TEST(SnapshotBytes, AreAPprofProfile) {
  const Profile profile = SmallProfile();
  const pprof::Profile proto = Decoded(*SnapshotBytes(profile));
  const auto text = [&](int64_t i) { return proto.string_table(static_cast<int>(i)); };
  std::vector<std::string> types;
  for (const pprof::ValueType& type : proto.sample_type()) {
    types.push_back(text(type.type()) + "/" + text(type.unit()));
  }
  EXPECT_THAT(types, ::testing::ElementsAre("alloc_objects/count", "alloc_space/bytes",
                                            "inuse_objects/count", "inuse_space/bytes",
                                            "peak_objects/count", "peak_space/bytes"));
  EXPECT_EQ(text(proto.default_sample_type()), "inuse_space");
  EXPECT_EQ(text(proto.period_type().type()), "space");
  EXPECT_EQ(proto.string_table(0), "");
  ASSERT_EQ(proto.sample_size(), 5);
  // malloc's caller is the innermost location, with its module and address.
  const pprof::Sample& sample = proto.sample(3);
  ASSERT_EQ(sample.location_id_size(), 2);
  const pprof::Location& caller = proto.location(static_cast<int>(sample.location_id(0)) - 1);
  EXPECT_EQ(caller.address(), 0x1234u);
  EXPECT_EQ(text(proto.mapping(static_cast<int>(caller.mapping_id()) - 1).filename()),
            "/opt/lib/libx.so");
  ASSERT_EQ(sample.label_size(), 1) << "one thread, one process: the domain is the only label";
  EXPECT_EQ(text(sample.label(0).key()), "domain");
  EXPECT_EQ(text(sample.label(0).str()), "malloc");
}

TEST(SnapshotBytes, LabelThreadsAndProcessesWhereThereAreSeveral) {
  WriteOptions options;
  const auto keys = [&options] {
    const pprof::Profile proto = Decoded(*SnapshotBytes(RandomProfile(5), options));
    std::set<std::string> found;
    for (const pprof::Sample& sample : proto.sample()) {
      for (const pprof::Label& label : sample.label()) {
        found.insert(proto.string_table(static_cast<int>(label.key())));
      }
    }
    return found;
  };
  EXPECT_THAT(keys(), ::testing::ElementsAre("domain", "label", "process", "thread"));
  options.thread_label = false;
  EXPECT_THAT(keys(), ::testing::ElementsAre("domain", "label", "process"));
}

TEST(SnapshotBytes, StrictPprofHasNoExtensionAndIsReadAsAnothersProfile) {
  WriteOptions strict;
  strict.strict_pprof = true;
  const Profile profile = SmallProfile();
  const std::string bytes = *SnapshotBytes(profile, strict);
  EXPECT_FALSE(Decoded(bytes).has_memtrace());
  const absl::StatusOr<Profile> read = ReadSnapshotBytes(bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  Values totals = profile.Totals();
  totals.temporary_objects = totals.temporary_bytes = 0;
  EXPECT_EQ(read->Totals(), totals);
  EXPECT_EQ(read->samples()[0].domain, Domain::kPythonObj);
  ASSERT_EQ(read->processes.size(), 1u);
}

TEST(SnapshotBytes, ShowEmptyStacksToOthersAndKeepThemEmpty) {
  Profile profile;
  profile.processes.push_back(PythonProcess(1, "/app"));
  profile.AddSample({0, 0, Domain::kMmap, 0, 0, {1, 10, 1, 10, 1, 10, 0, 0}});
  const std::string bytes = *SnapshotBytes(profile);
  const pprof::Profile proto = Decoded(bytes);
  ASSERT_EQ(proto.sample(0).location_id_size(), 1);
  EXPECT_EQ(proto.string_table(static_cast<int>(proto.function(0).name())), "(no stack)");
  EXPECT_EQ(ProfileText(*ReadSnapshotBytes(bytes)), ProfileText(profile));
}

TEST(SnapshotBytes, AnotherProgramsProfileMayInlineAndOmitTypes) {
  pprof::Profile proto;
  for (const char* text : {"", "inuse_space", "bytes", "outer", "inner", "a.go"}) {
    proto.add_string_table(text);
  }
  proto.add_sample_type()->set_type(1);
  proto.mutable_sample_type(0)->set_unit(2);
  for (int i = 1; i <= 2; ++i) {
    pprof::Function* function = proto.add_function();
    function->set_id(10 * i);
    function->set_name(2 + i);
    function->set_filename(5);
  }
  pprof::Location* location = proto.add_location();
  location->set_id(7);
  location->set_address(0x100);
  location->add_line()->set_function_id(20);
  location->add_line()->set_function_id(10);
  pprof::Sample* sample = proto.add_sample();
  sample->add_location_id(7);
  sample->add_value(4096);

  const absl::StatusOr<Profile> read = ReadSnapshotBytes(Encoded(proto));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->Totals().inuse_bytes, 4096);
  const std::vector<FrameId> stack = read->Stack(read->samples()[0].node);
  ASSERT_EQ(stack.size(), 2u);
  EXPECT_EQ(read->string(read->function(read->frame(stack[0]).function).name), "inner");
  EXPECT_EQ(read->string(read->function(read->frame(stack[1]).function).name), "outer");
}

TEST(SnapshotBytes, OfANewerFormatAreRefusedByName) {
  pprof::Profile proto = Decoded(*SnapshotBytes(SmallProfile()));
  proto.mutable_memtrace()->set_schema_version(kSnapshotSchemaVersion + 1);
  proto.mutable_memtrace()->set_tool_version("9.0");
  const absl::Status status = ReadSnapshotBytes(Encoded(proto)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("made by memtrace 9.0"));
}

TEST(SnapshotBytes, OfALaterVersionMayHoldMore) {
  pprof::Profile proto = Decoded(*SnapshotBytes(SmallProfile()));
  std::string content = proto.SerializeAsString();
  content += std::string(
      "\xfa\xff\x05\x03"
      "abc",
      7);  // field 12287: unknown
  const absl::StatusOr<Profile> read = ReadSnapshotBytes(Gzip(content));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ProfileText(*read), ProfileText(SmallProfile()));
}

}  // namespace
}  // namespace memtrace
