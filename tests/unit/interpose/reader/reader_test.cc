// What a reader sees of a process that is busy, through the tool's own decoder.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <tuple>

#include "tools/read/decode.h"
#include "tools/read/figures.h"
#include "tools/read/region_file.h"

namespace memtrace {
namespace {

namespace fs = std::filesystem;

constexpr int kPlaces = 64, kThreads = 8;
constexpr char kMilliseconds[] = "2000";

// The program writer.cc under the preloaded library.
class Writer {
 public:
  Writer() {
    folder_ = std::string(fs::temp_directory_path()) + "/memtrace-test-XXXXXX";
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    EXPECT_EQ(pipe2(to_, O_CLOEXEC), 0);  // so that it ends when we do
    EXPECT_EQ(pipe2(from_, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) Become();
  }
  ~Writer() { fs::remove_all(folder_); }

  void Await() {
    char byte;
    ASSERT_EQ(read(from_[0], &byte, 1), 1) << "the writer is gone";
  }
  void Release() { ASSERT_EQ(write(to_[1], "x", 1), 1); }
  void ExpectEnd() {
    int status = 0;
    ASSERT_EQ(waitpid(pid_, &status, 0), pid_);
    EXPECT_EQ(status, 0);
  }
  std::string region() const {
    for (const auto& entry : fs::directory_iterator(folder_)) return entry.path().string();
    return "";
  }

 private:
  [[noreturn]] void Become() {
    dup2(to_[0], STDIN_FILENO);
    dup2(from_[1], STDOUT_FILENO);
    setenv("MEMTRACE_DIR", folder_.c_str(), 1);
    unsetenv("MEMTRACE_DISABLE");
    setenv("LD_PRELOAD", MEMTRACE_BINARY_DIR "/libmemtrace.so", 1);
    execl(MEMTRACE_BINARY_DIR "/interpose_writer", "interpose_writer", kMilliseconds, nullptr);
    _exit(127);
  }

  std::string folder_;
  int to_[2], from_[2];
  pid_t pid_ = -1;
};

using Key = std::tuple<uint32_t, uint32_t, uint32_t>;  // node, caller, slot

Key KeyOf(const SiteFigures& site) { return {site.node, site.caller, site.slot}; }

// Sizes of the writer's own places, learned while nothing moves.
std::map<Key, int64_t> LearnSizes(const Figures& figures) {
  std::map<Key, int64_t> sizes;
  for (const SiteFigures& site : figures.sites) {
    const Values& v = site.values;
    if (v.alloc_objects == 0 || v.alloc_bytes % v.alloc_objects != 0) continue;
    const int64_t size = v.alloc_bytes / v.alloc_objects;
    const bool own = size >= 1000 && size < 1000 + 16 * kPlaces && (size - 1000) % 16 == 0;
    if (own && v.alloc_objects == 1) sizes[KeyOf(site)] = size;
  }
  return sizes;
}

class Checker {
 public:
  explicit Checker(std::map<Key, int64_t> sizes) : sizes_(std::move(sizes)) {}

  void Check(const Figures& figures) {
    std::map<Key, Values> places;  // a place has a small site and a busy one
    for (const SiteFigures& site : figures.sites) places[KeyOf(site)] += site.values;
    for (const auto& [key, v] : places) {
      ASSERT_GE(v.inuse_objects, 0);
      ASSERT_GE(v.inuse_bytes, 0);
      ASSERT_GE(v.peak_bytes, 0);
      ASSERT_LE(v.inuse_objects, v.alloc_objects);
      const auto size = sizes_.find(key);
      if (size == sizes_.end()) continue;
      ASSERT_EQ(v.alloc_bytes, size->second * v.alloc_objects);
      ASSERT_EQ(v.inuse_bytes, size->second * v.inuse_objects);
      ASSERT_EQ(v.peak_bytes, size->second * v.peak_objects);
      ASSERT_EQ(v.temporary_bytes, size->second * v.temporary_objects);
      int64_t& before = allocs_[key];
      ASSERT_GE(v.alloc_objects, before) << "a counter went back";
      before = v.alloc_objects;
    }
    reads_++;
  }

  int reads() const { return reads_; }

 private:
  std::map<Key, int64_t> sizes_;
  std::map<Key, int64_t> allocs_;
  int reads_ = 0;
};

TEST(Reader, SeesNoTornFigureOfABusyProcess) {
  Writer writer;
  writer.Await();
  auto region = RegionFile::Open(writer.region());
  ASSERT_TRUE(region.ok()) << region.status();
  auto quiet = ReadFigures(**region);
  ASSERT_TRUE(quiet.ok()) << quiet.status();
  const auto sizes = LearnSizes(*quiet);
  ASSERT_EQ(sizes.size(), size_t{kPlaces} * kThreads);

  Checker checker(sizes);
  std::atomic<bool> done{false};
  writer.Release();
  std::thread waiter([&] {
    writer.Await();
    done = true;
  });
  while (!done && !HasFatalFailure()) {
    auto figures = ReadFigures(**region);
    ASSERT_TRUE(figures.ok()) << figures.status();
    checker.Check(*figures);
    if (checker.reads() % 64 != 1) continue;
    auto profile = DecodeRegion(**region);
    ASSERT_TRUE(profile.ok()) << profile.status();
    EXPECT_GE(profile->Totals().inuse_bytes, 0);
  }
  waiter.join();
  ASSERT_FALSE(HasFatalFailure());

  // Nothing moves any more: the total is the sum of its lines, to the byte.
  auto last = ReadFigures(**region);
  ASSERT_TRUE(last.ok()) << last.status();
  checker.Check(*last);
  int64_t now = 0, at_peak = 0, events = 0;
  for (const SiteFigures& site : last->sites) {
    now += site.values.inuse_bytes;
    at_peak += site.values.peak_bytes;
    events += site.values.alloc_objects;
  }
  EXPECT_EQ(now, last->now_bytes);
  EXPECT_LE(std::abs(at_peak - last->peak_bytes), last->peak_bound);
  EXPECT_GT(events, 100000);
  EXPECT_GE(checker.reads(), 20);
  printf("%d readings of %zu places during %ld allocations\n", checker.reads(), sizes.size(),
         static_cast<long>(events));
  writer.Release();
  writer.ExpectEnd();
  EXPECT_TRUE((*region)->Check().ok());
}

}  // namespace
}  // namespace memtrace
