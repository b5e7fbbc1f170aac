#include "tests/unit/interpose/support.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <ostream>
#include <sstream>

#include "interpose/recorder.h"
#include "interpose/region.h"

namespace memtrace::testing {
namespace {

constexpr char kIsolated[] = "MEMTRACE_TEST_ISOLATED";

// Before the recorder's own constructor, which has no priority.
__attribute__((constructor(101))) void KeepRecorderOff() {
  if (getenv(kIsolated) == nullptr) setenv("MEMTRACE_DISABLE", "1", 1);
}

std::string ReadWhole(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

[[noreturn]] void Become(const std::string& test, const TemporaryFolder& folder,
                         const std::function<bool()>& prepare, const std::string& output) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that hangs must not outlive ctest's patience
  if (freopen(output.c_str(), "w", stdout) == nullptr) _exit(120);
  dup2(STDOUT_FILENO, STDERR_FILENO);
  setenv(kIsolated, "1", 1);
  unsetenv("MEMTRACE_DISABLE");
  setenv("MEMTRACE_DIR", folder.path().c_str(), 1);
  unsetenv("GTEST_OUTPUT");
  if (prepare && !prepare()) {
    printf("the process could not be prepared\n");
    fflush(stdout);
    _exit(121);
  }
  alarm(100);  // survives exec: nothing here may hang
  const std::string filter = "--gtest_filter=" + test;
  execl("/proc/self/exe", "/proc/self/exe", filter.c_str(), "--gtest_brief=1",
        "--gtest_also_run_disabled_tests", nullptr);
  _exit(122);
}

}  // namespace

bool InIsolation() { return getenv(kIsolated) != nullptr; }

void RunIsolated(const std::function<bool()>& prepare) {
  const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::string test = std::string(info->test_suite_name()) + "." + info->name();
  TemporaryFolder folder, outputs;
  const std::string output = outputs.path() + "/output";
  fflush(stdout);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) Become(test, folder, prepare, output);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
      << (WIFSIGNALED(status) ? "signal " : "exit status ")
      << (WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)) << ", in its own process:\n"
      << ReadWhole(output);
}

TemporaryFolder::TemporaryFolder() {
  const char* base = getenv("TMPDIR");
  path_ = std::string(base != nullptr && *base != 0 ? base : "/tmp") + "/memtrace-test-XXXXXX";
  if (mkdtemp(path_.data()) == nullptr) abort();
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void* MadeUpHeap::Take(uint64_t random) {
  if (!free_.empty() && random % 4 != 0) {
    std::swap(free_[random / 4 % free_.size()], free_.back());
    void* p = free_.back();
    free_.pop_back();
    return p;
  }
  // One in eight starts 8 bytes after a multiple of 16.
  const uint64_t p = next_ + (random / 4 % 8 == 0 ? 8 : 0);
  next_ += 128;  // four granules: what the largest block owns
  return reinterpret_cast<void*>(p);
}

std::ostream& operator<<(std::ostream& out, const Figures& f) {
  return out << "alloc " << f.alloc_objects << "/" << f.alloc_bytes << " free " << f.free_objects
             << "/" << f.free_bytes << " temporary " << f.temporary_objects << "/"
             << f.temporary_bytes << " peak " << f.peak_objects << "/" << f.peak_bytes
             << " inherited " << f.inherited_objects << "/" << f.inherited_bytes;
}

namespace {

// The rule of core/layout.h, at Cell.
void AddPeak(const Cell& c, Figures* f) {
  const Header* h = g_region.header();
  const bool saved = TotalNow() <= h->peak.load() && c.saved.epoch == h->peak_epoch.load();
  f->peak_objects +=
      saved ? c.saved.objects : static_cast<int64_t>(c.alloc.objects - c.free.objects);
  f->peak_bytes += saved ? c.saved.bytes : static_cast<int64_t>(c.alloc.bytes - c.free.bytes);
}

void AddCell(const Cell& c, bool inherited, Figures* f) {
  (inherited ? f->inherited_objects : f->alloc_objects) += static_cast<int64_t>(c.alloc.objects);
  (inherited ? f->inherited_bytes : f->alloc_bytes) += static_cast<int64_t>(c.alloc.bytes);
  f->free_objects += static_cast<int64_t>(c.free.objects);
  f->free_bytes += static_cast<int64_t>(c.free.bytes);
  f->temporary_objects += static_cast<int64_t>(c.temporary.objects);
  f->temporary_bytes += static_cast<int64_t>(c.temporary.bytes);
  AddPeak(c, f);
}

Cell Widened(const SmallBlock& block, uint32_t i) {
  const auto count = [](uint32_t word) { return Count{word & 0xff, word >> 8}; };
  const SmallCell& c = block.cells[i];
  return {count(c.alloc),
          count(c.free),
          count(c.temporary),
          {SmallBytes(c.saved), SmallObjects(c.saved), block.epochs[i]}};
}

using All = std::map<Place, Figures>;

void AddSite(const SiteRecord& site, uint32_t thread, const Cell& cell, All* all) {
  if (cell.alloc.objects == 0 && cell.free.objects == 0 && cell.free.bytes == 0) return;
  EXPECT_NE(site.domain(), 0u);
  const auto* caller = g_region.At<FrameRecord>(kFrames, site.caller());
  AddCell(cell, thread == 0,
          &(*all)[{static_cast<Domain>(site.domain()), site.caller() != 0 ? caller->address : 0}]);
}

}  // namespace

std::map<Place, Figures> RegionFigures() {
  All all;
  const Section* sections = g_region.header()->sections;
  for (uint64_t page = 0; page < sections[kCells].used.load(); page++) {
    const CellOwner owner = *g_region.At<CellOwner>(kCellOwners, page);
    for (uint32_t i = 0; owner.sites != 0 && i < kSitesPerBlock; i++) {
      const uint64_t index = uint64_t{owner.sites - 1} * kSitesPerBlock + i;
      AddSite(*g_region.At<SiteRecord>(kBusySites, index), owner.thread,
              g_region.At<CellPage>(kCells, page)->cells[i], &all);
    }
  }
  for (uint64_t page = 0; page < sections[kSmallCells].used.load(); page++) {
    const CellOwner owner = *g_region.At<CellOwner>(kSmallOwners, page);
    for (uint32_t i = 0; owner.sites != 0 && i < kSitesPerSmallPage; i++) {
      const uint64_t index = uint64_t{owner.sites - 1} * kSitesPerSmallPage + i;
      const auto& block = g_region.At<SmallPage>(kSmallCells, page)->blocks[i / kSitesPerBlock];
      AddSite(*g_region.At<SiteRecord>(kSites, index), owner.thread,
              Widened(block, i % kSitesPerBlock), &all);
    }
  }
  return all;
}

int64_t RegionTotal() {
  int64_t total = TotalNow();
  const uint64_t slots = g_region.header()->sections[kThreads].used.load();
  for (uint64_t slot = 0; slot < slots; slot++) {
    total += g_region.At<ThreadRecord>(kThreads, slot)->unflushed_bytes;
  }
  return total;
}

int64_t RegionPeak() { return std::max(g_region.header()->peak.load(), TotalNow()); }

uint64_t Lost() {
  uint64_t sum = 0;
  for (const LossCounter& lost : g_region.header()->lost) sum += lost.events.load();
  return sum;
}

uint64_t LostBytes() {
  uint64_t sum = 0;
  for (const LossCounter& lost : g_region.header()->lost) sum += lost.bytes.load();
  return sum;
}

}  // namespace memtrace::testing
