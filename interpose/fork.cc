#include "interpose/fork.h"

#include <errno.h>
#include <pthread.h>

#include "interpose/lifecycle.h"
#include "interpose/os/os.h"
#include "interpose/python/frames.h"
#include "interpose/recorder.h"
#include "interpose/site_tree.h"
#include "interpose/threads.h"

namespace memtrace {
namespace {

struct Live {
  int64_t objects;
  int64_t bytes;
};

// Live figures of sites [0, sites).
struct Inherited {
  Live* live = nullptr;
  uint64_t sites = 0;
};

// Of the fork that this thread is in; another thread may fork at the same time.
thread_local constinit Inherited t_inherited __attribute__((tls_model("initial-exec")));

// One page more: nothing inherited is an answer, too.
size_t BytesFor(uint64_t sites) { return sites * sizeof(Live) + 4096; }

void Drop(Inherited* inherited) {
  if (inherited->live != nullptr) os::Release(inherited->live, BytesFor(inherited->sites));
  *inherited = {};
}

// Reads cells while other threads write theirs: each word by itself is whole, frees come first.
__attribute__((no_sanitize("thread"))) void AddLive(const Cell& cell, Live* live) {
  const uint64_t free_objects = __atomic_load_n(&cell.free_objects, __ATOMIC_RELAXED);
  const uint64_t free_bytes = __atomic_load_n(&cell.free_bytes, __ATOMIC_RELAXED);
  std::atomic_thread_fence(std::memory_order_acquire);
  const uint64_t objects = __atomic_load_n(&cell.alloc_objects, __ATOMIC_RELAXED);
  const uint64_t bytes = __atomic_load_n(&cell.alloc_bytes, __ATOMIC_RELAXED);
  live->objects += static_cast<int64_t>(objects - free_objects);
  live->bytes += static_cast<int64_t>(bytes - free_bytes);
}

Inherited SumLive() {
  const Header* h = g_region.header();
  Inherited sum;
  sum.sites = h->sections[kSites].used.load(std::memory_order_acquire);
  sum.live = static_cast<Live*>(os::Reserve(BytesFor(sum.sites)));
  if (sum.live == nullptr) return {};
  const uint64_t pages = h->sections[kCells].used.load(std::memory_order_acquire);
  const uint64_t owners = h->sections[kCellOwners].used.load(std::memory_order_acquire);
  for (uint64_t i = 0; i < pages && i < owners; i++) {
    auto& owner = g_region.At<CellOwner>(kCellOwners, i)->site_block;
    const uint32_t block = std::atomic_ref<uint32_t>(owner).load(std::memory_order_acquire);
    if (block == 0 || uint64_t{block} * kSitesPerBlock > sum.sites) continue;
    const Cell* cells = g_region.At<Cell>(kCells, i);
    Live* live = sum.live + uint64_t{block - 1} * kSitesPerBlock;
    for (uint32_t j = 0; j < kSitesPerBlock; j++) AddLive(cells[j], live + j);
  }
  return sum;
}

// A child that forks before its first event hands on what it has inherited itself.
void BeforeFork() {
  const int saved_errno = errno;
  if (IsRecording()) t_inherited = SumLive();
  errno = saved_errno;
}

void AfterForkInParent() {
  const int saved_errno = errno;
  if (IsRecording()) Drop(&t_inherited);
  errno = saved_errno;
}

// The kernel wipes the gate's page in a forked child; this does the same for old kernels.
void AfterForkInChild() {
  if (g_gate != nullptr) g_gate->state.store(Gate::kClosed, std::memory_order_relaxed);
}

int64_t BookInherited(Thread* slot0, const Inherited& inherited) {
  int64_t total = 0;
  for (uint64_t site = 0; site < inherited.sites; site++) {
    const Live& live = inherited.live[site];
    // Below zero: another thread freed a block while the sum was made.
    if (live.objects <= 0 || live.bytes < 0) continue;
    Cell* c = CellOf(slot0, static_cast<uint32_t>(site));
    if (c == nullptr) {
      g_region.CountLoss(Loss::kRegionFull, static_cast<uint64_t>(live.bytes));
      continue;
    }
    c->alloc_objects = static_cast<uint64_t>(live.objects);
    c->alloc_bytes = static_cast<uint64_t>(live.bytes);
    total += live.bytes;
  }
  return total;
}

void BeginTotals(int64_t inherited) {
  Header* h = g_region.header();
  h->owner_total.store(inherited);
  h->shared_total.store(0);
  h->peak.store(inherited);
  h->peak_epoch.store(1);
}

}  // namespace

void InstallForkHandlers() { pthread_atfork(BeforeFork, AfterForkInParent, AfterForkInChild); }

bool StartChild() {
  // Off until it has worked, so that nothing is ever written to the parent's region.
  g_gate->state.store(Gate::kOff, std::memory_order_relaxed);
  const Busy before = t_thread != nullptr ? t_thread->busy : Busy::kIdle;
  os::RegionFile file;
  if (!g_region.PrepareChild(&file)) {
    os::Say("a forked child could not get a region of its own: it is not traced");
    return false;
  }
  if (t_inherited.live == nullptr) t_inherited = SumLive();
  if (t_inherited.live == nullptr || !g_region.AdoptInChild(&file)) return false;
  ForgetSites();
  Thread* slot0 = ResetThreadsInChild();
  if (slot0 == nullptr) return false;
  BeginTotals(BookInherited(slot0, t_inherited));
  Drop(&t_inherited);
  DescribeProcess();
  if (t_thread != nullptr) t_thread->busy = before;
  g_region.header()->magic.store(kRegionMagic, std::memory_order_release);
  const bool watch =
      python::g_reader.is_initialized != nullptr && python::g_reader.is_initialized() == 0;
  g_gate->state.store(watch ? Gate::kWatching : Gate::kOpen, std::memory_order_release);
  return true;
}

}  // namespace memtrace
