#include "interpose/fork.h"

#include <errno.h>

#include "interpose/cells.h"
#include "interpose/lifecycle.h"
#include "interpose/mappings.h"
#include "interpose/os/os.h"
#include "interpose/python/frames.h"
#include "interpose/recorder.h"
#include "interpose/say_place.h"
#include "interpose/site_tree.h"
#include "interpose/threads.h"

// What pthread_atfork calls. Not every C library has it: see os::IsGlibc.
extern "C" int __register_atfork(void (*before)(), void (*parent)(), void (*child)(), void* owner)
    __attribute__((weak));
extern "C" void* __dso_handle;

namespace memtrace {
namespace {

struct Live {
  int64_t objects;
  int64_t bytes;
};

// Live figures of all sites: the small ones, then the busy ones.
struct Inherited {
  Live* live = nullptr;
  uint64_t small_sites = 0;
  uint64_t busy_sites = 0;

  uint64_t sites() const { return small_sites + busy_sites; }
  uint32_t IdOf(uint64_t index) const {
    return static_cast<uint32_t>(index < small_sites ? index
                                                     : kFirstBusySite + index - small_sites);
  }
  // sites(): none of these.
  uint64_t IndexOf(uint32_t site) const {
    if (IsBusySite(site)) return small_sites + (site - kFirstBusySite);
    return site < small_sites ? site : sites();
  }
};

// Of the fork that this thread is in; another thread may fork at the same time.
thread_local constinit Inherited t_inherited __attribute__((tls_model("initial-exec")));

// One page more: nothing inherited is an answer, too.
size_t BytesFor(uint64_t sites) { return sites * sizeof(Live) + 4096; }

void Drop(Inherited* inherited) {
  if (inherited->live != nullptr) os::Release(inherited->live, BytesFor(inherited->sites()));
  *inherited = {};
}

Inherited SumLive() {
  const Section* sections = g_region.header()->sections;
  Inherited sum;
  sum.small_sites = sections[kSites].used.load(std::memory_order_acquire);
  sum.busy_sites = sections[kBusySites].used.load(std::memory_order_acquire);
  sum.live = static_cast<Live*>(os::Reserve(BytesFor(sum.sites())));
  if (sum.live == nullptr) return {};
  EachCell([&](uint32_t site, const CellFigures& figures) {
    const uint64_t index = sum.IndexOf(site);
    if (index >= sum.sites()) return;  // made since
    sum.live[index].objects += figures.live_objects;
    sum.live[index].bytes += figures.live_bytes;
  });
  return sum;
}

// A child that forks before its first event hands on what it has inherited itself.
void BeforeFork() {
  const int saved_errno = errno;
  if (IsRecording()) {
    HoldMappings();
    t_inherited = SumLive();
  }
  errno = saved_errno;
}

void AfterForkInParent() {
  const int saved_errno = errno;
  ReleaseMappings();
  if (IsRecording()) Drop(&t_inherited);
  errno = saved_errno;
}

// The kernel wipes the gate's page and each thread's first one in a forked child; this does the
// same for old kernels.
void AfterForkInChild() {
  ReleaseMappings();
  if (g_gate != nullptr) g_gate->state.store(Gate::kClosed, std::memory_order_relaxed);
  if (t_thread != nullptr) t_thread->busy = Busy::kClosed;
}

void BookLive(char* cells, uint32_t site, const Live& live) {
  if (IsBusySite(site)) {
    FullCell(cells, site)->alloc = {static_cast<uint64_t>(live.objects),
                                    static_cast<uint64_t>(live.bytes)};
  } else {
    SmallCellOf(cells, site)->alloc = PackSmall(live.objects, live.bytes);
  }
}

int64_t BookInherited(Thread* slot0, const Inherited& inherited) {
  int64_t total = 0;
  for (uint64_t i = 0; i < inherited.sites(); i++) {
    const Live& live = inherited.live[i];
    // Below zero: another thread freed a block while the sum was made.
    if (live.objects <= 0 || live.bytes < 0) continue;
    char* cells = CellsOf(slot0, inherited.IdOf(i));
    if (cells == nullptr) {
      g_region.CountLoss(Loss::kRegionFull, static_cast<uint64_t>(live.bytes));
      continue;
    }
    BookLive(cells, inherited.IdOf(i), live);
    if (!IsAddressSpace(DomainOf(inherited.IdOf(i)))) total += live.bytes;
  }
  return total;
}

void BeginTotals(int64_t inherited) {
  Header* h = g_region.header();
  h->owner_total.store(inherited);
  h->shared_total.store(0);
  h->peak.store(inherited);
  h->peak_trigger.store(inherited);
  h->peak_epoch.store(1);
}

}  // namespace

void InstallForkHandlers() {
  if (__register_atfork == nullptr) return;
  __register_atfork(BeforeFork, AfterForkInParent, AfterForkInChild, &__dso_handle);
}

bool StartChild() {
  // Off until it has worked, so that nothing is ever written to the parent's region.
  g_gate->state.store(Gate::kOff, std::memory_order_relaxed);
  os::SuspendFillers();
  os::RegionFile file;
  if (!g_region.PrepareChild(&file)) {
    os::Say("a forked child could not get a region of its own: it is not traced");
    return false;
  }
  if (t_inherited.live == nullptr) t_inherited = SumLive();
  const bool had_file = g_region.path()[0] != 0;
  if (t_inherited.live == nullptr || !g_region.AdoptInChild(&file)) return false;
  os::ResumeFillers();
  if (had_file && g_region.path()[0] == 0) SayPlace(file);
  ForgetSites();
  Thread* slot0 = ResetThreadsInChild();
  if (slot0 == nullptr) return false;
  BeginTotals(BookInherited(slot0, t_inherited));
  Drop(&t_inherited);
  InheritMappings();
  DescribeProcess(/*forked=*/true);
  g_region.header()->magic.store(kRegionMagic, std::memory_order_release);
  const bool watch =
      python::g_reader.is_initialized != nullptr && python::g_reader.is_initialized() == 0;
  g_gate->state.store(watch ? Gate::kWatching : Gate::kOpen, std::memory_order_release);
  return true;
}

}  // namespace memtrace
