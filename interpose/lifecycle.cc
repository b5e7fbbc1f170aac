#include "interpose/lifecycle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "interpose/command_line.h"
#include "interpose/fork.h"
#include "interpose/mapping_callers.h"
#include "interpose/native.h"
#include "interpose/os/os.h"
#include "interpose/python/frames.h"
#include "interpose/python/hooks.h"
#include "interpose/real.h"
#include "interpose/recorder.h"
#include "interpose/say_place.h"
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

uint32_t StackDepth() {
  const char* text = os::Environment("MEMTRACE_STACK_DEPTH");
  return text != nullptr ? static_cast<uint32_t>(strtoul(text, nullptr, 10)) : 0;
}

// False: the address space is the program's alone again.
bool MakeTables() {
  if (!os::HasRoomToRecord()) {
    os::Say("the limit of memory (ulimit -v, ulimit -d) is too low: this process is not traced");
    return false;
  }
  if (!g_region.Create()) {
    os::Say("no memory for the live region: this process is not traced");
    return false;
  }
  if (!g_live_table.Init() || !InitSiteTree(/*scarce=*/!g_live_table.HasFastSlots())) {
    os::Say("no address space for the tables (see ulimit -v): this process is not traced");
    DropSiteTree();
    g_region.Drop();
    return false;
  }
  return true;
}

void StartRecording() {
  // Before libc has its environment the loader itself is at work: too early to know what is wanted.
  if (environ == nullptr || g_started.exchange(true)) return;
  if (!os::IsGlibc()) return;
  os::RestoreInheritedLimits();
  if (os::IsSet("MEMTRACE_DISABLE")) return;
  auto* gate = static_cast<GatePage*>(os::MapWipedInChild());
  if (gate == nullptr || !MakeTables()) return;
  SayPlace(g_region.file());
  Header* h = g_region.header();
  h->live_table = reinterpret_cast<uint64_t>(&g_live_table);
  h->stack_depth = StackDepth();
  g_exact_peak = os::IsSet("MEMTRACE_EXACT_PEAK");
  if (g_exact_peak) h->flags |= kFlagExactPeak;
  if (h->stack_depth != 0) h->flags |= kFlagStacksTruncated;
  DescribeProcess(/*forked=*/false);
  os::InitModules();
  if (g_real.malloc == nullptr) ResolveReal();
  g_live_table.SetSharedGranules(!os::IsLibcFunction(reinterpret_cast<void*>(g_real.malloc)));
  InitNative();
  InitMappingCallers();
  InstallForkHandlers();
  h->magic.store(kRegionMagic, std::memory_order_release);
  gate->state.store(Gate::kOpen, std::memory_order_relaxed);
  std::atomic_ref<GatePage*>(g_gate).store(gate, std::memory_order_release);
  // From here on events are recorded; the hooks' own are not.
  Thread* t = ClaimThread();
  if (t == nullptr) return;
  t->busy = Busy::kAllocating;
  if (python::Install()) gate->state.store(Gate::kWatching, std::memory_order_relaxed);
  t->rest = RestingState(t);
  Leave(t);
}

__attribute__((constructor)) void Construct() {
  const int saved_errno = errno;
  if (!g_started.load()) StartRecording();
  Thread* t = t_thread;
  if (t != nullptr && t->busy == t->rest) {
    t->busy = Busy::kAllocating;  // what the loader allocates for the unwinder is not the program's
    OpenUnwinder();
    Leave(t);
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

void DescribeProcess(bool forked) {
  constexpr size_t kBytes = 256 * 1024;
  auto* text = static_cast<char*>(os::Reserve(kBytes));
  if (text == nullptr) return;
  Header* h = g_region.header();
  const bool no_arguments = os::IsSet("MEMTRACE_NO_ARGS");
  // A forked child has its parent's name already. It may have given itself a title since, in which
  // names and arguments cannot be told apart.
  if (!forked || !no_arguments) {
    const size_t bytes = os::ReadFile("/proc/self/cmdline", text, kBytes);
    h->command = InternString(text, no_arguments ? NameBytes(text, bytes) : bytes);
  }
  h->executable = InternString(text, os::ReadLink("/proc/self/exe", text, 4096));
  h->working_dir = InternString(text, os::WorkingDir(text, 4096));
  os::Release(text, kBytes);
}

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
