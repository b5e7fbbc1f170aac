// Chains of frame pointers: each frame's rbp points to its caller's saved one, which lies below the
// return address. Exact in code built with -fno-omit-frame-pointer; other code leaves out frames
// (it passes rbp on) or ends the chain (it keeps data in rbp, as libc does below main).
//
// What rbp holds may be anything, so
//  1. inside the thread's own stack memory is read directly: from the stack pointer up to the
//     stack's end it stays mapped for as long as the thread runs there. How far it reaches is found
//     once and kept, see OwnStack;
//  2. anywhere else (alternate signal stacks, coroutines) through the kernel, see Peek;
//  3. frames have strictly growing addresses and a stack has no holes, so the chain neither runs in
//     circles nor crosses to another stack, but by a signal's frame, which says where it goes on;
//  4. a return address is one only where a call instruction lies before it.

#include <sys/auxv.h>
#include <ucontext.h>

#include <atomic>
#include <cstddef>
#include <cstring>

#include "interpose/os/os.h"
#include "interpose/unwind/unwind.h"

namespace memtrace::unwind {
namespace {

constexpr uintptr_t kPage = 4096;
constexpr uintptr_t kLowestCode = 0x1000;
constexpr uintptr_t kAddressEnd = uintptr_t{1} << 47;
constexpr uintptr_t kMostFrame = 1 << 20;  // between two frames of a stack that is not known
constexpr uintptr_t kMostStack = 64 << 20;
constexpr uint32_t kMostSkipped = 1024;

bool Peek(uintptr_t from, void* to, size_t bytes) {
  return os::SafeRead(reinterpret_cast<const void*>(from), to, bytes);
}

// Whether every page that [from, to) touches can be read.
bool HasNoHoles(uintptr_t from, uintptr_t to) {
  char byte;
  for (uintptr_t page = from & ~(kPage - 1); page < to; page += kPage) {
    if (!Peek(page, &byte, 1)) return false;
  }
  return true;
}

// ---------------------------------------------------------------------------------------------
// The thread's own stack

// glibc keeps what describes a thread above its stack; above the first thread's lie the random
// bytes that the kernel gives to each program. If everything from the stack pointer up to there is
// mapped, the stack pointer is in the thread's own stack: others have a hole between. What
// describes the first thread lies anywhere, among mappings that may end any time.
struct OwnStack {
  uintptr_t low;  // known from here
  uintptr_t high;
  uint32_t failures;
  uint32_t skipped;  // events since the last failure
};
constinit thread_local OwnStack t_own = {};
constinit uintptr_t g_above_first = 0;

bool FindFrom(uintptr_t sp, uintptr_t anchor) {
  if (anchor <= sp || anchor - sp > kMostStack) return false;
  const bool known = t_own.high == anchor && sp < t_own.low;
  if (!HasNoHoles(sp, known ? t_own.low : anchor)) return false;
  t_own = {sp & ~(kPage - 1), anchor, 0, 0};
  return true;
}

// False: the stack pointer is somewhere else. A program whose work is done by coroutines is not
// asked again each time.
bool OnOwnStack(uintptr_t sp) {
  if (sp >= t_own.low && sp < t_own.high) return true;
  if (t_own.skipped++ < t_own.failures) return false;
  const bool first = os::ThreadId() == os::ProcessId();
  const auto thread = reinterpret_cast<uintptr_t>(__builtin_thread_pointer());
  if (FindFrom(sp, first ? g_above_first : thread)) return true;
  t_own.skipped = 0;
  t_own.failures = t_own.failures == 0 ? 1 : t_own.failures * 2;
  if (t_own.failures > kMostSkipped) t_own.failures = kMostSkipped;
  return false;
}

// What lies between the stack pointer and as far as is known.
class Reader {
 public:
  explicit Reader(uintptr_t sp) { MoveTo(sp); }

  // From now on frames are above this stack pointer.
  void MoveTo(uintptr_t sp) {
    end_ = OnOwnStack(sp) ? t_own.high : 0;
    floor_ = sp;
  }

  // Two words of a frame, which then is the lowest one.
  bool Frame(uintptr_t at, uintptr_t (&words)[2]) {
    if (at < floor_ || at % sizeof(uintptr_t) != 0 || at > kAddressEnd) return false;
    if (!(end_ != 0 ? Load(at, words) : LoadByKernel(at, words))) return false;
    floor_ = at + sizeof words;
    return true;
  }

  uintptr_t floor() const { return floor_; }

 private:
  __attribute__((no_sanitize("address"))) bool Load(uintptr_t at, uintptr_t (&words)[2]) const {
    if (at + sizeof words > end_) return false;
    words[0] = reinterpret_cast<const uintptr_t*>(at)[0];
    words[1] = reinterpret_cast<const uintptr_t*>(at)[1];
    return true;
  }
  bool LoadByKernel(uintptr_t at, uintptr_t (&words)[2]) const {
    const uintptr_t next_page = (floor_ | (kPage - 1)) + 1;
    return at - floor_ <= kMostFrame && HasNoHoles(next_page, at) && Peek(at, words, sizeof words);
  }

  uintptr_t end_;  // of what may be read directly, 0: nothing
  uintptr_t floor_;
};

// ---------------------------------------------------------------------------------------------
// Return addresses

// The bytes before `end` are one of the forms of call: E8 rel32, or FF /2 with its operand.
bool EndsWithCall(const uint8_t* end) {
  if (end[-5] == 0xe8) return true;
  const auto is = [end](int length, int mod, int rm) {
    const uint8_t operand = end[1 - length];
    return end[-length] == 0xff && (operand >> 3 & 7) == 2 && operand >> 6 == mod &&
           (rm < 0 || (operand & 7) == rm);
  };
  constexpr int kAny = -1, kSib = 4, kDisplacement = 5;
  return is(2, 3, kAny) || is(2, 0, kAny) || is(3, 1, kAny) || is(3, 0, kSib) || is(4, 1, kSib) ||
         is(6, 2, kAny) || is(6, 0, kDisplacement) || is(7, 2, kSib) || is(7, 0, kSib);
}

constexpr int kLongestCall = 7;
constexpr uint8_t kSignalReturn[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};

enum class Code : uintptr_t { kNone = 0, kCall = 1, kSignal = 2 };

// Code that has been looked at: address << 2 | Code. Modules that are closed stay in here: it is
// not read again, and an address that was a return address there is a good guess.
constexpr size_t kSeen = 4096;
constinit std::atomic<uintptr_t> g_seen[kSeen] = {};

Code Look(uintptr_t address) {
  uint8_t bytes[kLongestCall + sizeof kSignalReturn];
  if (Peek(address, bytes + kLongestCall, sizeof kSignalReturn) &&
      memcmp(bytes + kLongestCall, kSignalReturn, sizeof kSignalReturn) == 0) {
    return Code::kSignal;
  }
  if (!Peek(address - kLongestCall, bytes, kLongestCall)) return Code::kNone;
  return EndsWithCall(bytes + kLongestCall) ? Code::kCall : Code::kNone;
}

Code KindOf(uintptr_t address) {
  if (address < kLowestCode || address >= kAddressEnd) return Code::kNone;
  std::atomic<uintptr_t>& seen = g_seen[(address * 0x9e3779b97f4a7c15ull >> 40) % kSeen];
  const uintptr_t known = seen.load(std::memory_order_relaxed);
  if (known >> 2 == address) return static_cast<Code>(known & 3);
  const Code kind = Look(address);
  if (kind != Code::kNone) {
    seen.store(address << 2 | static_cast<uintptr_t>(kind), std::memory_order_relaxed);
  }
  return kind;
}

// ---------------------------------------------------------------------------------------------

bool Init() {
  g_above_first = getauxval(AT_RANDOM);
  return true;
}

// The kernel lays ucontext_t above the return address of a signal handler.
bool Interrupted(uintptr_t context, Place* place) {
  constexpr size_t kRegisters = offsetof(ucontext_t, uc_mcontext.gregs);
  greg_t registers[NGREG];
  if (!Peek(context + kRegisters, registers, sizeof registers)) return false;
  *place = {static_cast<uintptr_t>(registers[REG_RIP]), static_cast<uintptr_t>(registers[REG_RSP]),
            static_cast<uintptr_t>(registers[REG_RBP])};
  return true;
}

int Capture(const Place& from, uintptr_t* addresses, int max, bool* cut) {
  Reader stack(from.sp);
  uintptr_t bp = from.bp;
  int count = 0;
  addresses[count++] = from.pc;
  *cut = true;
  while (bp != 0) {
    uintptr_t words[2];
    if (!stack.Frame(bp, words)) return count;
    if (words[1] == 0) break;
    const Code kind = KindOf(words[1]);
    if (kind == Code::kNone || count == max) return count;
    addresses[count++] = words[1];
    bp = words[0];
    if (kind != Code::kSignal) continue;
    Place place;
    if (count == max || !Interrupted(stack.floor(), &place)) return count;
    addresses[count++] = place.pc;
    bp = place.bp;
    stack.MoveTo(place.sp);
  }
  *cut = false;
  return count;
}

}  // namespace

extern constexpr Backend kFramePointers = {"fp", Init, Capture};

}  // namespace memtrace::unwind
