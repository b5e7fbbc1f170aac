// Programs with operators new and delete of their own: `own_new` has all of them; own_some_new.cc
// is the same with only the two that all others are made of. A header before each block tells
// whether a block comes from here, and its owner's counts tell whether an operator was passed over.
#include <new>

#include "known.h"

namespace {

constexpr unsigned long kMark = 0x6d61726b6d61726b;
struct Header {
  unsigned long mark;
  unsigned long start;  // bytes from the beginning of malloc's block
};
long g_made, g_ended;

}  // namespace

// One site for all that these operators allocate.
extern "C" NOINLINE void* site_own(size_t bytes) {
  void* p = malloc(bytes);
  KNOWN_SITE(site_own);
  return known_allocated(&site_own_known, p, bytes);
}

static void* Make(size_t bytes, size_t alignment = 16) {
  auto* start = static_cast<char*>(site_own(bytes + sizeof(Header) + alignment));
  auto at = (reinterpret_cast<uintptr_t>(start) + sizeof(Header) + alignment - 1) & -alignment;
  auto* header = reinterpret_cast<Header*>(at) - 1;
  *header = {kMark, at - reinterpret_cast<uintptr_t>(start)};
  g_made++;
  return reinterpret_cast<void*>(at);
}

static void End(void* p) {
  if (p == nullptr) return;
  auto* header = static_cast<Header*>(p) - 1;
  if (header->mark != kMark) abort();  // another operator's
  header->mark = 0;
  g_ended++;
  known_free(static_cast<char*>(p) - header->start);
}

using Align = std::align_val_t;
using NoThrow = const std::nothrow_t&;

void* operator new(size_t n) { return Make(n); }
void operator delete(void* p) noexcept { End(p); }
#ifdef ONLY_SOME
#pragma GCC diagnostic ignored "-Wsized-deallocation"
#endif
#ifndef ONLY_SOME
void* operator new[](size_t n) { return Make(n); }
void* operator new(size_t n, NoThrow) noexcept { return Make(n); }
void* operator new[](size_t n, NoThrow) noexcept { return Make(n); }
void* operator new(size_t n, Align a) { return Make(n, static_cast<size_t>(a)); }
void* operator new[](size_t n, Align a) { return Make(n, static_cast<size_t>(a)); }
void* operator new(size_t n, Align a, NoThrow) noexcept { return Make(n, static_cast<size_t>(a)); }
void* operator new[](size_t n, Align a, NoThrow) noexcept {
  return Make(n, static_cast<size_t>(a));
}
void operator delete[](void* p) noexcept { End(p); }
void operator delete(void* p, size_t) noexcept { End(p); }
void operator delete[](void* p, size_t) noexcept { End(p); }
void operator delete(void* p, NoThrow) noexcept { End(p); }
void operator delete[](void* p, NoThrow) noexcept { End(p); }
void operator delete(void* p, Align) noexcept { End(p); }
void operator delete[](void* p, Align) noexcept { End(p); }
void operator delete(void* p, size_t, Align) noexcept { End(p); }
void operator delete[](void* p, size_t, Align) noexcept { End(p); }
void operator delete(void* p, Align, NoThrow) noexcept { End(p); }
void operator delete[](void* p, Align, NoThrow) noexcept { End(p); }
#endif

int main() {
  constexpr int kRounds = 300, kForms = 4;
  for (size_t i = 1; i <= kRounds; i++) {
    ::operator delete(::operator new(i));
    ::operator delete[](::operator new[](i));
    ::operator delete(::operator new(i, std::nothrow), std::nothrow);
    ::operator delete[](::operator new[](i, std::nothrow), std::nothrow);
    ::operator new[](i);  // kept
#ifndef ONLY_SOME
    ::operator delete (::operator new (i, Align{64}), Align{64});
    ::operator delete[](::operator new[](i, Align{64}), i, Align{64});
#endif
  }
#ifdef ONLY_SOME
  constexpr int kAligned = 0;
#else
  constexpr int kAligned = 2;
#endif
  if (g_made != kRounds * (kForms + 1 + kAligned) || g_ended != kRounds * (kForms + kAligned)) {
    fprintf(stderr, "%ld made, %ld ended\n", g_made, g_ended);
    return 1;
  }
  known_pause();
  return 0;
}
