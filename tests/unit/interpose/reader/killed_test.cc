// SIGKILL at a thousand random moments of a program with four busy threads: each time the region
// opens, is sound, and tells the truth.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <random>
#include <string>

#include "tests/unit/interpose/reader/killed_counters.h"
#include "tools/read/decode.h"
#include "tools/read/figures.h"
#include "tools/read/region_file.h"

namespace memtrace {
namespace {

namespace fs = std::filesystem;

constexpr int kKills = 1000;
constexpr int kMostMicroseconds = 8000;  // of work before the end

// A folder for the regions, and the counters of the program.
class Scene {
 public:
  Scene() {
    folder_ = std::string(fs::temp_directory_path()) + "/memtrace-test-XXXXXX";
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    fs::create_directory(regions());
    fs::permissions(regions(), fs::perms::owner_all);
    const int fd = open(counters_path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    EXPECT_EQ(ftruncate(fd, kBytes), 0);
    void* shared = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    EXPECT_NE(shared, MAP_FAILED);
    close(fd);
    counters = static_cast<KillCounters*>(shared);
  }
  ~Scene() {
    munmap(counters, kBytes);
    fs::remove_all(folder_);
  }

  void Clear() {
    for (size_t n = 0; n < kKillThreads; n++) {
      KillCounters& c = counters[n];
      c.begun = c.done = c.free_begun = c.free_done = 0;
    }
    for (const auto& entry : fs::directory_iterator(regions())) fs::remove_all(entry.path());
  }
  std::string regions() const { return folder_ + "/regions"; }
  std::string counters_path() const { return folder_ + "/counters"; }
  std::string region() const {
    for (const auto& entry : fs::directory_iterator(regions())) return entry.path().string();
    return "";
  }

  KillCounters* counters = nullptr;

 private:
  static constexpr size_t kBytes = kKillThreads * sizeof(KillCounters);
  std::string folder_;
};

pid_t Start(const Scene& scene) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  setenv("MEMTRACE_DIR", scene.regions().c_str(), 1);
  unsetenv("MEMTRACE_DISABLE");
  setenv("LD_PRELOAD", MEMTRACE_BINARY_DIR "/libmemtrace.so", 1);
  alarm(60);
  execl(MEMTRACE_BINARY_DIR "/interpose_killed", "interpose_killed", scene.counters_path().c_str(),
        nullptr);
  _exit(127);
}

void StartAndKill(const Scene& scene, int microseconds) {
  const pid_t pid = Start(scene);
  ASSERT_GT(pid, 0);
  for (size_t n = 0; n < kKillThreads; n++) {
    for (int wait = 0; scene.counters[n].done == 0; wait++) {
      ASSERT_LT(wait, 300000) << "the program does not get to work";
      usleep(100);
    }
  }
  usleep(static_cast<useconds_t>(microseconds));
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
}

// The figures of all sites whose blocks are of this size.
Values OfSize(const Figures& figures, size_t bytes) {
  Values sum;
  const auto size = static_cast<int64_t>(bytes);
  for (const SiteFigures& site : figures.sites) {
    const Values& v = site.values;
    if (v.alloc_objects > 0 && v.alloc_bytes == size * v.alloc_objects) sum += v;
  }
  return sum;
}

void ExpectTruth(const KillCounters& c, size_t bytes, const Figures& figures) {
  const Values v = OfSize(figures, bytes);
  const auto size = static_cast<int64_t>(bytes);
  EXPECT_GE(v.alloc_objects, c.done);
  EXPECT_LE(v.alloc_objects, c.begun);
  EXPECT_GE(v.inuse_objects, c.done - c.free_begun);
  EXPECT_LE(v.inuse_objects, c.begun - c.free_done);
  EXPECT_EQ(v.inuse_bytes, size * v.inuse_objects);
}

void ExpectSound(const Scene& scene) {
  auto region = RegionFile::Open(scene.region());
  ASSERT_TRUE(region.ok()) << region.status();
  auto figures = ReadFigures(**region);
  ASSERT_TRUE(figures.ok()) << figures.status();
  for (size_t n = 0; n < kKillThreads; n++) {
    ExpectTruth(scene.counters[n], KillBytes(n), *figures);
  }
  auto profile = DecodeRegion(**region);
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_TRUE((*region)->Check().ok()) << (*region)->Check();
  int64_t now = 0;
  for (const SiteFigures& site : figures->sites) {
    if (!IsAddressSpace(site.domain)) now += site.values.inuse_bytes;
  }
  EXPECT_GE(figures->peak_bytes, now);
  EXPECT_TRUE(profile->processes[0].losses.empty());
}

TEST(Killed, AtAThousandRandomMoments) {
  Scene scene;
  std::mt19937 random(20240229);
  for (int i = 0; i < kKills && !HasFailure(); i++) {
    SCOPED_TRACE(i);
    scene.Clear();
    StartAndKill(scene, std::uniform_int_distribution<int>(0, kMostMicroseconds)(random));
    if (!HasFailure()) ExpectSound(scene);
  }
}

}  // namespace
}  // namespace memtrace
