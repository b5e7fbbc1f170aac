// Boost.Stacktrace's variant for signal handlers. It is made of headers alone and brings the
// unwinder of this library's own libgcc, so it works where libunwind is not installed.

#include <boost/stacktrace/safe_dump_to.hpp>

#include "interpose/unwind/unwind.h"

namespace memtrace::unwind {
namespace {

constexpr int kOwnFrames = 64;  // the hook and what it calls are on the stack, too

bool Init() { return true; }

int Capture(const Place& from, uintptr_t* addresses, int max, bool* cut) {
  const void* all[kMaxFrames + kOwnFrames + 1];  // and the null that ends the dump
  const size_t room = static_cast<size_t>(max + kOwnFrames + 1);
  const size_t dumped = boost::stacktrace::safe_dump_to(all, room * sizeof all[0]);
  size_t first = 0;
  while (first < dumped && reinterpret_cast<uintptr_t>(all[first]) != from.pc) first++;
  int count = 0;
  size_t i = first;
  for (; i < dumped && all[i] != nullptr && count < max; i++) {
    addresses[count++] = reinterpret_cast<uintptr_t>(all[i]);
  }
  *cut = i < dumped && all[i] != nullptr;
  return count;
}

}  // namespace

extern constexpr Backend kBoost = {"boost", Init, Capture};

}  // namespace memtrace::unwind
