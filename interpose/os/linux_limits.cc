// Linux: the program's limits of address space and private memory.
//
// The kernel counts what the recorder has reserved, 64 TiB that are hardly ever touched, and a
// program that limits itself means its own memory. So a limit that the program sets is passed on
// enlarged by kExtra, and shown without it; what of kExtra the recorder does not take is filled
// with mappings that nobody touches, so that the program's own part is what it asked for, to the
// page.
//
// A program that is executed inherits the enlarged limit. If it is traced, it puts it right as soon
// as it starts (RestoreInheritedLimits); otherwise it has a larger limit than was meant.
//
// The recorder's memory is then taken from the fillers (LimitedReserve), a forked child's region
// too (SuspendFillers). Where two threads ask at once, one does without: its memory counts as the
// program's.

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "interpose/os/linux.h"
#include "interpose/os/os.h"

namespace memtrace::os {
namespace {

constexpr rlim_t kTiB = rlim_t{1} << 40;
constexpr rlim_t kExtraPrivate = 65 * kTiB;  // more than the recorder ever reserves
constexpr rlim_t kExtraSpace = 66 * kTiB;    // that, its region, and the other filler

struct Filler {
  void* base;
  size_t bytes;
};

constinit std::atomic<uint64_t> g_private{0};  // bytes that the recorder has mapped
constinit std::atomic<uint64_t> g_shared{0};
constinit std::atomic<bool> g_limited{false};
constinit std::atomic_flag g_busy = ATOMIC_FLAG_INIT;
constinit Filler g_private_filler{};
constinit Filler g_space_filler{};

rlim_t Extra(int resource) { return resource == RLIMIT_DATA ? kExtraPrivate : kExtraSpace; }

// A value that holds the recorder's share was worked out from what the kernel says of the process:
// it is right as it is.
rlim_t Enlarged(rlim_t value, rlim_t extra) {
  if (value >= g_private.load(std::memory_order_relaxed)) return value;
  return value >= RLIM_INFINITY - extra ? RLIM_INFINITY : value + extra;
}

rlim_t Shown(rlim_t value, rlim_t extra) {
  return value == RLIM_INFINITY || value < extra ? value : value - extra;
}

bool IsEnlarged(int resource) {
  rlimit limit;
  return KernelLimit(0, resource, nullptr, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
         limit.rlim_cur >= Extra(resource);
}

void Unfill(Filler* filler) {
  if (filler->base != nullptr) KernelUnmap(filler->base, filler->bytes);
  *filler = {};
}

void Fill(Filler* filler, uint64_t bytes, int protection) {
  void* base = KernelMap(bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
  if (base == MAP_FAILED) return;  // the limit is larger than it was meant
  madvise(base, bytes, MADV_DONTDUMP);
  *filler = {base, bytes};
}

void Refill() {
  Unfill(&g_private_filler);
  Unfill(&g_space_filler);
  const bool space = IsEnlarged(RLIMIT_AS);
  g_limited.store(space || IsEnlarged(RLIMIT_DATA), std::memory_order_relaxed);
  if (!g_limited.load(std::memory_order_relaxed)) return;
  const uint64_t taken = g_private.load(std::memory_order_relaxed);
  if (taken >= kExtraPrivate) return;
  Fill(&g_private_filler, kExtraPrivate - taken, PROT_READ | PROT_WRITE);
  const uint64_t all = kExtraPrivate + g_shared.load(std::memory_order_relaxed);
  if (space) Fill(&g_space_filler, kExtraSpace - all, PROT_NONE);
}

// Not waiting: false when another thread is at it.
bool Begin() { return !g_busy.test_and_set(std::memory_order_acquire); }
void End() { g_busy.clear(std::memory_order_release); }

}  // namespace

int KernelLimit(int pid, int resource, const rlimit* wanted, rlimit* old) {
  return static_cast<int>(syscall(SYS_prlimit64, pid, resource, wanted, old));
}

int Limit(int pid, int resource, const rlimit* wanted, rlimit* old, bool own_memory) {
  const bool counts_ours =
      (resource == RLIMIT_AS || resource == RLIMIT_DATA) && (pid == 0 || pid == ProcessId());
  // Little was reserved where memory was scarce from the start: the limit is what it seems.
  const bool much_reserved = g_private.load(std::memory_order_relaxed) >= kTiB;
  if (!counts_ours || !much_reserved) return KernelLimit(pid, resource, wanted, old);
  const rlim_t extra = Extra(resource);
  rlimit enlarged, before;
  if (wanted != nullptr) {
    if (wanted->rlim_cur > wanted->rlim_max) {
      errno = EINVAL;
      return -1;
    }
    enlarged = {Enlarged(wanted->rlim_cur, extra), Enlarged(wanted->rlim_max, extra)};
  }
  const int status = KernelLimit(pid, resource, wanted != nullptr ? &enlarged : nullptr, &before);
  if (status != 0) return status;
  if (old != nullptr) *old = {Shown(before.rlim_cur, extra), Shown(before.rlim_max, extra)};
  if (wanted != nullptr && own_memory && Begin()) {
    Refill();
    End();
  }
  return 0;
}

void RestoreInheritedLimits() {
  for (const int resource : {RLIMIT_AS, RLIMIT_DATA}) {
    rlimit limit;
    if (!IsEnlarged(resource) || KernelLimit(0, resource, nullptr, &limit) != 0) continue;
    const rlim_t extra = Extra(resource);
    limit = {Shown(limit.rlim_cur, extra), Shown(limit.rlim_max, extra)};
    KernelLimit(0, resource, &limit, nullptr);
  }
}

void* LimitedReserve(size_t bytes, void* (*map)(size_t)) {
  const bool refill = g_limited.load(std::memory_order_relaxed) && Begin();
  if (refill) {
    Unfill(&g_private_filler);
    Unfill(&g_space_filler);
  }
  void* p = map(bytes);
  if (p != nullptr) g_private.fetch_add(bytes, std::memory_order_relaxed);
  if (refill) {
    Refill();
    End();
  }
  return p;
}

void CountRelease(size_t bytes) { g_private.fetch_sub(bytes, std::memory_order_relaxed); }

void CountShared(int64_t bytes) {
  g_shared.fetch_add(static_cast<uint64_t>(bytes), std::memory_order_relaxed);
}

void SuspendFillers() {
  g_busy.clear();  // in a forked child: whoever held it is not here
  Unfill(&g_private_filler);
  Unfill(&g_space_filler);
}

void ResumeFillers() {
  if (g_limited.load(std::memory_order_relaxed)) Refill();
}

}  // namespace memtrace::os
