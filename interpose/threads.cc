#include "interpose/threads.h"

#include <string.h>

#include <atomic>

#include "interpose/generations.h"
#include "interpose/os/os.h"
#include "interpose/recorder.h"
#include "interpose/site_tree.h"
#include "interpose/unwind/incremental.h"

namespace memtrace {
namespace {

constinit Thread* g_threads[kMaxThreadSlots] = {};
constinit std::atomic<uint32_t> g_hand{0};  // where the next search for an ended thread starts
constinit uint32_t g_owner_slot = 1;        // whose user writes Header::owner_total

// How many slots a new thread looks at before it takes a fresh one: enough that a program which
// starts threads in turn stays at the number that lives at once.
constexpr uint32_t kSearch = 32;

// Like no thread state, and not like having none.
constinit const char kNoStateHere = 0;
constexpr const char* kNoState = &kNoStateHere;

void Begin(Thread* t, int tid) {
  ThreadRecord* r = t->record;
  r->users++;
  r->start_ns = os::BootNanos();
  r->stack = reinterpret_cast<uint64_t>(__builtin_frame_address(0));
  os::ThreadName(r->name, sizeof r->name);
  t->rest = RestingState(t);
  t->busy = t->rest;
  t->until_tick = Thread::kTick;
  t->last_block = nullptr;
  t->frame_count = t->known_frames = 0;
  t->top = t->kept;
  t->top_info = t->info;
  t->tss_key = Thread::kNoTssKey;
  t->known_state = kNoState;
  t->dead_state = nullptr;
  if (t->native != nullptr) unwind::Leave(t->native);
  t->owns_total = t->slot == g_owner_slot || g_exact_peak;
  r->state.store(static_cast<uint32_t>(ThreadState::kLive), std::memory_order_release);
  // Until now the slot was nobody's to take over.
  std::atomic_ref<int32_t>(r->tid).store(tid, std::memory_order_release);
}

// The slot of a thread that has ended, now the caller's.
Thread* TakeOver(int tid) {
  const auto used = static_cast<uint32_t>(
      g_region.header()->sections[kThreads].used.load(std::memory_order_acquire));
  const uint32_t search = used - 1 < kSearch ? used - 1 : kSearch;
  for (uint32_t i = 0; i < search; i++) {
    const uint32_t slot = 1 + g_hand.fetch_add(1, std::memory_order_relaxed) % (used - 1);
    Thread* t = std::atomic_ref<Thread*>(g_threads[slot]).load(std::memory_order_acquire);
    if (t == nullptr) continue;
    std::atomic_ref<int32_t> owner(t->record->tid);
    int32_t before = owner.load(std::memory_order_acquire);
    // The kernel reuses numbers: a slot with the caller's own was somebody else's, too.
    if (before != tid && os::ThreadAlive(before)) continue;
    if (before == 0) continue;  // another thread is just taking it
    if (!owner.compare_exchange_strong(before, 0, std::memory_order_acq_rel)) continue;
    return t;
  }
  return nullptr;
}

Thread* NewSlot() {
  const uint64_t slot = g_region.Reserve(kThreads, 1);
  if (slot == Region::kNone || slot >= kMaxThreadSlots) return nullptr;
  auto* t = static_cast<Thread*>(os::Reserve(sizeof(Thread)));
  if (t == nullptr) return nullptr;
  os::WipeInChild(t);
  t->slot = static_cast<uint32_t>(slot);
  t->record = g_region.At<ThreadRecord>(kThreads, slot);
  std::atomic_ref<Thread*>(g_threads[slot]).store(t, std::memory_order_release);
  return t;
}

void NoteThreads(uint32_t slot) {
  if (slot <= 1) return;
  Header* h = g_region.header();
  h->flags.fetch_or(kFlagThreaded, std::memory_order_relaxed);
  if (g_exact_peak || g_peak_slack.load(std::memory_order_relaxed) != 0) return;
  g_peak_slack.store(kFlushBytes, std::memory_order_relaxed);
  h->peak_trigger.fetch_add(kFlushBytes, std::memory_order_relaxed);
}

// f(thread) of each slot but 0; until one returns true.
template <class F>
void EachThread(F&& f) {
  const uint64_t used = g_region.header()->sections[kThreads].used.load(std::memory_order_acquire);
  for (uint64_t slot = 1; slot < used && slot < kMaxThreadSlots; slot++) {
    Thread* t = std::atomic_ref<Thread*>(g_threads[slot]).load(std::memory_order_acquire);
    if (t != nullptr && f(t)) return;
  }
}

void ForgetCells(Thread* t) {
  os::Discard(reinterpret_cast<char*>(t) + ((offsetof(Thread, pages) + 4095) & ~size_t{4095}),
              sizeof t->pages & ~size_t{4095});
  memset(t->pages, 0, 4096);  // what shares a page with the fields before
  memset(reinterpret_cast<char*>(t->pages) + sizeof t->pages - 4096, 0, 4096);
  ForgetSitesOf(t);
}

}  // namespace

void ForgetSitesOf(Thread* t) {
  memset(t->sites, 0, sizeof t->sites);
  memset(t->nodes, 0, sizeof t->nodes);  // they remember sites, too
  ForgetPythonSites(t);
  memset(t->info, 0, (t->known_frames + 1) * sizeof t->info[0]);
  t->small_ids = t->busy_ids = {};
  t->site_place = nullptr;
  t->last_block = nullptr;
  t->frame_count = t->known_frames = 0;
  t->top = t->kept;
  t->top_info = t->info;
}

__attribute__((noinline)) void RenewSites(Thread* t) {
  const uint32_t now = g_generation.load(std::memory_order_acquire);
  if (t->generation == now) return;
  t->generation = now;
  ForgetSitesOf(t);
}

int64_t UnflushedBytes() {
  int64_t sum = 0;
  EachThread([&](const Thread* t) {
    sum += __atomic_load_n(&t->record->unflushed_bytes, __ATOMIC_RELAXED);
    return false;
  });
  return sum;
}

void RestAs(Busy rest) {
  EachThread([=](Thread* t) {
    __atomic_store_n(&t->rest, rest, __ATOMIC_RELAXED);
    // If it is just beginning an event, it does not see this, and that event is its last one.
    for (Busy before : {Busy::kIdle, Busy::kWatchful}) {
      __atomic_compare_exchange_n(&t->busy, &before, rest, false, __ATOMIC_RELAXED,
                                  __ATOMIC_RELAXED);
    }
    return false;
  });
}

Thread* ClaimThread() {
  const int tid = os::ThreadId();
  Thread* t = TakeOver(tid);
  if (t == nullptr) t = NewSlot();
  if (t == nullptr) {
    g_region.CountLoss(Loss::kThreadSlots, 0);
    return nullptr;
  }
  NoteThreads(t->slot);
  t->pauses = t->meters = 0;
  Begin(t, tid);
  t_thread = t;
  return t;
}

namespace {

// The state that the thread has in this block; nullptr: none.
const char* StateIn(Thread* t, const char* block) {
  const char* state = std::atomic_ref<const char*>(t->known_state).load(std::memory_order_relaxed);
  return state == block || state == block + LiveTable::kDebugHeader ? state : nullptr;
}

// It may have taken the state for known just before. It is in the recorder then, for some hundred
// nanoseconds if it runs; one that is not running is not waited for for ever.
void WaitForReader(const Thread* t) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  for (int i = 0; i < 1000; i++) {
    os::Yield();  // at least once: its mark may be on the way to memory
    if (__atomic_load_n(&t->busy, __ATOMIC_ACQUIRE) != Busy::kRecording) return;
  }
}

}  // namespace

void ForgetThreadStates() {
  EachThread([](Thread* t) {
    std::atomic_ref<uint64_t>(t->tss_key).store(Thread::kNoTssKey, std::memory_order_relaxed);
    return false;
  });
}

void RetireThreadState(const void* block) {
  const auto* start = static_cast<const char*>(block);
  Thread* self = t_thread;
  if (self != nullptr && StateIn(self, start) != nullptr) {  // as when a thread ends
    self->known_state = kNoState;
    return;
  }
  EachThread([=](Thread* t) {
    const char* state = StateIn(t, start);
    if (state == nullptr) return false;
    std::atomic_ref<const char*>(t->dead_state).store(state, std::memory_order_relaxed);
    std::atomic_ref<const char*>(t->known_state).store(kNoState, std::memory_order_seq_cst);
    WaitForReader(t);
    return true;
  });
}

Thread* ResetThreadsInChild() {
  const uint64_t used = g_region.header()->sections[kThreads].used.load();
  for (uint64_t slot = 1; slot < used && slot < kMaxThreadSlots; slot++) {
    Thread* t = g_threads[slot];
    auto* record = g_region.At<ThreadRecord>(kThreads, slot);
    record->unflushed_bytes = 0;
    record->users = 0;
    if (t == nullptr) continue;
    ForgetCells(t);
    record->tid = -1;  // no such thread here: free to be taken over
    record->state.store(static_cast<uint32_t>(ThreadState::kInherited));
  }
  if (t_thread != nullptr) {
    g_owner_slot = t_thread->slot;
    Begin(t_thread, os::ThreadId());
  }
  g_peak_slack.store(0);
  ResetExactPeak();
  if (g_threads[0] == nullptr) {
    auto* t = static_cast<Thread*>(os::Reserve(sizeof(Thread)));
    if (t == nullptr) return nullptr;
    t->record = g_region.At<ThreadRecord>(kThreads, 0);
    g_threads[0] = t;
  } else {
    ForgetCells(g_threads[0]);
  }
  g_threads[0]->record->state.store(static_cast<uint32_t>(ThreadState::kInherited));
  return g_threads[0];
}

}  // namespace memtrace
