#include "tools/model/snapshot_file.h"

#include <gmock/gmock.h>
#include <google/protobuf/io/gzip_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "absl/strings/escaping.h"
#include "profile.pb.h"
#include "tests/unit/tools/model/profile_text.h"
#include "tests/unit/tools/model/random_profile.h"

namespace memtrace {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string Gunzip(const std::string& bytes) {
  google::protobuf::io::ArrayInputStream in(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::io::GzipInputStream gunzip(&in);
  std::string out;
  const void* chunk;
  int size;
  while (gunzip.Next(&chunk, &size)) out.append(static_cast<const char*>(chunk), size);
  return out;
}

std::string Gzip(const std::string& content) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream out(&bytes);
    google::protobuf::io::GzipOutputStream gzip(&out);
    void* chunk;
    int size;
    size_t done = 0;
    while (done < content.size() && gzip.Next(&chunk, &size)) {
      const size_t take = std::min(content.size() - done, static_cast<size_t>(size));
      memcpy(chunk, content.data() + done, take);
      if (take < static_cast<size_t>(size)) gzip.BackUp(size - static_cast<int>(take));
      done += take;
    }
    gzip.Close();
  }
  return bytes;
}

pprof::Profile Decoded(const std::string& bytes) {
  pprof::Profile proto;
  EXPECT_TRUE(proto.ParseFromString(Gunzip(bytes)));
  return proto;
}

std::string Encoded(const pprof::Profile& proto) { return Gzip(proto.SerializeAsString()); }

class TemporaryFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/snapshot.XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  int Entries() const {
    int n = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_)) ++n;
    return n;
  }

  std::string folder_;
};

using SnapshotFile = TemporaryFolder;

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
  EXPECT_THAT(keys(), ::testing::ElementsAre("domain", "process", "thread"));
  options.thread_label = false;
  EXPECT_THAT(keys(), ::testing::ElementsAre("domain", "process"));
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

// ---------------------------------------------------------------------------------------------
// Files

TEST_F(SnapshotFile, IsWrittenAndRead) {
  const Profile profile = RandomProfile(7);
  ASSERT_TRUE(WriteSnapshotFile(profile, Path("a.mtr")).ok());
  const absl::StatusOr<Profile> read = ReadSnapshotFile(Path("a.mtr"));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ProfileText(*read), ProfileText(profile));
  EXPECT_EQ(Entries(), 1) << "nothing is left aside";
}

TEST_F(SnapshotFile, ReplacesOnlyWithForce) {
  ASSERT_TRUE(WriteSnapshotFile(RandomProfile(1), Path("a.mtr")).ok());
  const absl::Status refused = WriteSnapshotFile(RandomProfile(2), Path("a.mtr"));
  EXPECT_EQ(refused.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(refused.message()), StartsWith(Path("a.mtr")));
  EXPECT_EQ(ProfileText(*ReadSnapshotFile(Path("a.mtr"))), ProfileText(RandomProfile(1)));
  WriteOptions force;
  force.force = true;
  ASSERT_TRUE(WriteSnapshotFile(RandomProfile(2), Path("a.mtr"), force).ok());
  EXPECT_EQ(ProfileText(*ReadSnapshotFile(Path("a.mtr"))), ProfileText(RandomProfile(2)));
  EXPECT_EQ(Entries(), 1);
}

TEST_F(SnapshotFile, SaysWhyItCannotBeWritten) {
  const absl::Status none = WriteSnapshotFile(RandomProfile(1), Path("none/a.mtr"));
  EXPECT_EQ(none.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(none.message()), HasSubstr("make its folder first"));
  const absl::Status folder = WriteSnapshotFile(RandomProfile(1), folder_);
  EXPECT_THAT(std::string(folder.message()), HasSubstr("Is a directory"));
  EXPECT_EQ(Entries(), 0);
}

TEST_F(SnapshotFile, LeavesNothingWhenTheDiskIsFull) {
  const absl::Status full = WriteSnapshotFile(RandomProfile(1, 5000), "/dev/full");
  EXPECT_FALSE(full.ok());
  EXPECT_THAT(std::string(full.message()), HasSubstr("No space left"));
  // A file system that refuses in the middle: a limit on the file's size.
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{1000, before.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  const absl::Status cut = WriteSnapshotFile(RandomProfile(1, 5000), Path("a.mtr"));
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_FALSE(cut.ok());
  EXPECT_THAT(std::string(cut.message()), HasSubstr("a.mtr"));
  EXPECT_EQ(Entries(), 0);
}

TEST_F(SnapshotFile, SaysWhatIsNoSnapshot) {
  EXPECT_EQ(ReadSnapshotFile(Path("none.mtr")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(ReadSnapshotFile(folder_).status().message()), HasSubstr("directory"));
  std::ofstream(Path("x.mtr")) << "hello, this is text";
  const absl::Status text = ReadSnapshotFile(Path("x.mtr")).status();
  EXPECT_THAT(std::string(text.message()), StartsWith(Path("x.mtr") + ": not a memtrace snapshot"));
  std::ofstream(Path("empty.mtr"));
  EXPECT_FALSE(ReadSnapshotFile(Path("empty.mtr")).ok());
  std::ofstream(Path("gz.mtr")) << Gzip("this is text in gzip, not a profile");
  EXPECT_FALSE(ReadSnapshotFile(Path("gz.mtr")).ok());
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

// ---------------------------------------------------------------------------------------------
// Hostile input

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

long PeakRssKiB() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// Bytes of the file changed: the checksum finds it. Bytes of the content changed: the reader must.
TEST(HostileSnapshot, ChangedBytesAreAnErrorOrAnotherProfile) {
  const std::string content = Gunzip(*SnapshotBytes(RandomProfile(13, 60)));
  std::mt19937 random(17);
  const long before = PeakRssKiB();
  int accepted = 0;
  for (int i = 0; i < 10000; ++i) {
    std::string changed = content;
    for (int n = 1 + random() % 4; n > 0; --n) {
      changed[random() % changed.size()] = static_cast<char>(random());
    }
    const absl::StatusOr<Profile> read = ReadSnapshotBytes(Gzip(changed));
    if (!read.ok()) continue;
    ++accepted;
    for (const Sample& sample : read->samples()) {
      ASSERT_LT(sample.process, read->processes.size());
      ASSERT_LT(sample.node, read->nodes().size());
      ASSERT_LT(sample.caller, read->frames().size());
    }
  }
  EXPECT_GT(accepted, 100) << "the changes never reached the samples";
#if !defined(__SANITIZE_ADDRESS__)
  EXPECT_LT(PeakRssKiB() - before, 64 * 1024);
#endif
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

TEST(HostileSnapshot, BombsAreStopped) {
  // 200 MB of an unknown field that compress a thousandfold.
  std::string bomb("\xfa\xff\x05\x80\x80\x80\x5f", 7);
  bomb.append(199229440, '\0');
  const std::string bytes = Gzip(bomb);
  ASSERT_LT(bytes.size(), 400000u);
  const absl::Status status = ReadSnapshotBytes(bytes).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("times the file's size"));
}

// A file of the first released format: it must be readable for good. Made by this test with
// MEMTRACE_WRITE_STORED set; core/FORMAT.md explains its bytes.
TEST(StoredSnapshot, IsStillRead) {
  const std::string path =
      std::string(MEMTRACE_SOURCE_DIR) + "/tests/unit/tools/model/testdata/v1.mtr";
  if (std::getenv("MEMTRACE_WRITE_STORED") != nullptr) {
    WriteOptions force;
    force.force = true;
    ASSERT_TRUE(WriteSnapshotFile(SmallProfile(), path, force).ok());
  }
  const absl::StatusOr<Profile> read = ReadSnapshotFile(path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ProfileText(*read), ProfileText(SmallProfile()));
}

// ---------------------------------------------------------------------------------------------
// core/FORMAT.md

Profile ExampleProfile() {
  Profile profile;
  profile.tool_version = "0.1.0";
  profile.taken_realtime_ns = 1700000000000000000;
  Process process;
  process.pid = 7;
  process.command = {"python", "a.py"};
  process.python = "3.12.1";
  process.end = EndKind::kRunning;
  process.peak_bytes = 96;
  process.threads = {{7, "python", 1, false}};
  profile.processes.push_back(process);
  const FrameId frame = PythonFrame(&profile, "a.py", "f", 3);
  profile.AddSample(
      {Stack(&profile, {frame}), 0, Domain::kPythonObj, 0, 0, {5, 160, 2, 64, 3, 96, 1, 32}});
  return profile;
}

// The lines of the worked example look like "0040  0a 03 61 62 63   what they mean".
std::string BytesOfTheDocument(const std::string& path) {
  std::string bytes;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.find_first_not_of("0123456789abcdef") != 4 || line.substr(4, 2) != "  ") continue;
    for (size_t i = 6; i + 1 < line.size() && line[i] != ' '; i += 3) {
      bytes += static_cast<char>(std::stoi(line.substr(i, 2), nullptr, 16));
    }
  }
  return bytes;
}

TEST(FormatDocument, WorkedExampleIsReal) {
  const std::string content = Gunzip(*SnapshotBytes(ExampleProfile()));
  const std::string documented =
      BytesOfTheDocument(std::string(MEMTRACE_SOURCE_DIR) + "/core/FORMAT.md");
  EXPECT_EQ(absl::BytesToHexString(documented), absl::BytesToHexString(content));
  const absl::StatusOr<Profile> read = ReadSnapshotBytes(Gzip(documented));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ProfileText(*read), ProfileText(ExampleProfile()));
}

}  // namespace
}  // namespace memtrace
