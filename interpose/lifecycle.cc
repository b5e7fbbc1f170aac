#include "interpose/lifecycle.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interpose/native.h"
#include "interpose/os/os.h"
#include "interpose/python/frames.h"
#include "interpose/python/hooks.h"
#include "interpose/recorder.h"
#include "interpose/site_tree.h"
#include "interpose/threads.h"

extern char** environ;

namespace memtrace {
namespace {

constinit std::atomic<bool> g_started{false};

Gate StateNow() {
  return g_gate != nullptr ? g_gate->state.load(std::memory_order_acquire) : Gate::kClosed;
}

// -------------------------------------------------------------------------------------------------
// Start

void DescribeProcess() {
  constexpr size_t kBytes = 256 * 1024;
  auto* text = static_cast<char*>(os::Reserve(kBytes));
  if (text == nullptr) return;
  Header* h = g_region.header();
  h->command = InternString(text, os::ReadFile("/proc/self/cmdline", text, kBytes));
  h->executable = InternString(text, os::ReadLink("/proc/self/exe", text, 4096));
  h->working_dir = InternString(text, os::WorkingDir(text, 4096));
  os::Release(text, kBytes);
}

uint32_t StackDepth() {
  const char* text = os::Environment("MEMTRACE_STACK_DEPTH");
  return text != nullptr ? static_cast<uint32_t>(strtoul(text, nullptr, 10)) : 0;
}

// A page that the kernel wipes in a forked child; the fork handler does the same for old kernels.
void CloseInChild() {
  if (g_gate != nullptr) g_gate->state.store(Gate::kClosed, std::memory_order_relaxed);
}

bool MakeTables() {
  if (!g_region.Create()) {
    os::Say("no memory for the live region: this process is not traced");
    return false;
  }
  if (!InitSiteTree() || !g_live_table.Init()) {
    os::Say("no address space for the tables (see ulimit -v): this process is not traced");
    return false;
  }
  return true;
}

void SayPrivate() {
  const char* set = os::Environment("MEMTRACE_DIR");
  char line[640];
  if (set != nullptr && *set != 0) {
    snprintf(line, sizeof line,
             "MEMTRACE_DIR=%s cannot hold the live region (it must be a folder of yours with mode "
             "0700 and room in it): the region is in private memory, no snapshot can be taken",
             set);
  } else {
    snprintf(line, sizeof line,
             "no folder for the live region (tried /dev/shm and TMPDIR): it is in private memory, "
             "no snapshot can be taken");
  }
  os::Say(line);
}

void StartRecording() {
  // Before libc has its environment the loader itself is at work: too early to know what is wanted.
  if (environ == nullptr || g_started.exchange(true)) return;
  const char* disabled = os::Environment("MEMTRACE_DISABLE");
  if (disabled != nullptr && *disabled != 0 && *disabled != '0') return;
  auto* gate = static_cast<GatePage*>(os::MapWipedInChild());
  if (gate == nullptr || !MakeTables()) return;
  if (g_region.path()[0] == 0) {
    os::Say(
        "no folder for the live region (tried /dev/shm and TMPDIR): it is in private memory and "
        "cannot be read from outside");
  }
  Header* h = g_region.header();
  h->stack_depth = StackDepth();
  if (h->stack_depth != 0) h->flags |= kFlagStacksTruncated;
  DescribeProcess();
  pthread_atfork(nullptr, nullptr, CloseInChild);
  h->magic.store(kRegionMagic, std::memory_order_release);
  gate->state.store(Gate::kOpen, std::memory_order_relaxed);
  std::atomic_ref<GatePage*>(g_gate).store(gate, std::memory_order_release);
  // From here on events are recorded; the hooks' own are not.
  Thread* t = ClaimThread();
  if (t == nullptr) return;
  t->busy = Busy::kAllocating;
  if (python::Install()) gate->state.store(Gate::kWatching, std::memory_order_relaxed);
  t->busy = Busy::kIdle;
}

// -------------------------------------------------------------------------------------------------
// Forked child

struct Inherited {
  int64_t objects;
  int64_t bytes;
};

// Live figures of every site at the fork, summed over the parent's threads. The parent's other
// threads may go on while this one copies: their sites may be off by what they did meanwhile.
Inherited* SumInherited(uint64_t sites) {
  auto* sums = static_cast<Inherited*>(os::Reserve(sites * sizeof(Inherited) + 4096));
  if (sums == nullptr) return nullptr;
  const uint64_t pages = g_region.header()->sections[kCells].used.load(std::memory_order_acquire);
  const uint64_t owners =
      g_region.header()->sections[kCellOwners].used.load(std::memory_order_acquire);
  for (uint64_t i = 0; i < pages && i < owners; i++) {
    const uint32_t block = g_region.At<CellOwner>(kCellOwners, i)->site_block;
    if (block == 0 || uint64_t{block} * kSitesPerBlock > sites) continue;
    const Cell* cells = g_region.At<Cell>(kCells, i);
    Inherited* sum = sums + uint64_t{block - 1} * kSitesPerBlock;
    for (uint32_t j = 0; j < kSitesPerBlock; j++) {
      sum[j].objects += static_cast<int64_t>(cells[j].alloc_objects - cells[j].free_objects);
      sum[j].bytes += static_cast<int64_t>(cells[j].alloc_bytes - cells[j].free_bytes);
    }
  }
  return sums;
}

int64_t BookInherited(Thread* slot0, const Inherited* sums, uint64_t sites) {
  int64_t total = 0;
  for (uint64_t site = 0; site < sites; site++) {
    if (sums[site].objects == 0 && sums[site].bytes == 0) continue;
    Cell* c = CellOf(slot0, static_cast<uint32_t>(site));
    if (c == nullptr) {
      g_region.CountLoss(Loss::kRegionFull, static_cast<uint64_t>(sums[site].bytes));
      continue;
    }
    c->alloc_objects = static_cast<uint64_t>(sums[site].objects);
    c->alloc_bytes = static_cast<uint64_t>(sums[site].bytes);
    total += sums[site].bytes;
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

// The child's first event: a region of its own, the parent's left untouched.
bool StartChild() {
  // Off until it has worked, so that nothing is ever written to the parent's region.
  g_gate->state.store(Gate::kOff, std::memory_order_relaxed);
  const Busy before = t_thread != nullptr ? t_thread->busy : Busy::kIdle;
  os::RegionFile file;
  if (!g_region.PrepareChild(&file)) {
    os::Say("a forked child could not get a region of its own: it is not traced");
    return false;
  }
  const uint64_t sites = g_region.header()->sections[kSites].used.load(std::memory_order_acquire);
  Inherited* sums = SumInherited(sites);
  if (sums == nullptr || !g_region.AdoptInChild(&file)) return false;
  ForgetSites();
  Thread* slot0 = ResetThreadsInChild();
  if (slot0 == nullptr) return false;
  BeginTotals(BookInherited(slot0, sums, sites));
  os::Release(sums, sites * sizeof(Inherited) + 4096);
  DescribeProcess();
  if (t_thread != nullptr) t_thread->busy = before;
  g_region.header()->magic.store(kRegionMagic, std::memory_order_release);
  const bool watch =
      python::g_reader.is_initialized != nullptr && python::g_reader.is_initialized() == 0;
  g_gate->state.store(watch ? Gate::kWatching : Gate::kOpen, std::memory_order_release);
  return true;
}

__attribute__((constructor)) void Construct() {
  const int saved_errno = errno;
  if (!g_started.load()) StartRecording();
  Thread* t = t_thread;
  if (t != nullptr && t->busy == Busy::kIdle) {
    t->busy = Busy::kAllocating;  // what the loader allocates for the unwinder is not the program's
    InitNative();
    t->busy = Busy::kIdle;
  }
  errno = saved_errno;
}

// The only work at exit: a mark that the end was an orderly one.
__attribute__((destructor)) void Destruct() {
  if (!IsRecording()) return;
  Header* h = g_region.header();
  h->end_boot_ns.store(os::BootNanos(), std::memory_order_relaxed);
  h->end.store(static_cast<uint32_t>(ProcessEnd::kExited), std::memory_order_release);
}

}  // namespace

bool OpenGate() {
  if (g_gate == nullptr) StartRecording();
  if (g_gate == nullptr) return false;
  const Gate state = StateNow();
  if (state == Gate::kClosed) return StartChild();
  return state != Gate::kOff;
}

bool IsRecording() {
  const Gate state = StateNow();
  return state == Gate::kOpen || state == Gate::kWatching;
}

}  // namespace memtrace
