// Boost.Stacktrace's variant for signal handlers. It is made of headers alone and brings the
// unwinder of this library's own libgcc, so it works where libunwind is not installed.

#include <boost/stacktrace/safe_dump_to.hpp>

#include "interpose/unwind/room.h"
#include "interpose/unwind/unwind.h"

namespace memtrace::unwind {
namespace {

bool Init() { return true; }

int Capture(const Place& from, uintptr_t* addresses, int max, bool* cut) {
  if (!HasRoom()) {
    addresses[0] = from.pc;
    *cut = true;
    return 1;
  }
  const size_t room = static_cast<size_t>(max + kOwnFrames) * sizeof addresses[0];
  const auto dumped = static_cast<int>(boost::stacktrace::safe_dump_to(addresses, room));
  // The last one is the null that ends a dump.
  return WithoutOwn(from, addresses, dumped > 0 ? dumped - 1 : 0, max, cut);
}

}  // namespace

extern constexpr Backend kBoost = {"boost", Init, Capture};

}  // namespace memtrace::unwind
