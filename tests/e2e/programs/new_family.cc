// Every operator new and delete, one site each.
#include <new>

#include "known.h"

namespace {
constexpr std::align_val_t kAlign{128};
}

// `call` reaches the allocator through libstdc++'s operator, or straight through ours: the site is
// the function that says `new` either way.
// clang-format off
#define NEW_SITE(name, call) KNOWN_SITE(name); extern "C" NOINLINE void* name(size_t n) { void* p = call; return known_allocated(&name##_known, p, n); }

NEW_SITE(site_new, ::operator new(n))
NEW_SITE(site_new_array, ::operator new[](n))
NEW_SITE(site_new_nothrow, ::operator new(n, std::nothrow))
NEW_SITE(site_new_array_nothrow, ::operator new[](n, std::nothrow))
NEW_SITE(site_new_aligned, ::operator new(n, kAlign))
NEW_SITE(site_new_array_aligned, ::operator new[](n, kAlign))
NEW_SITE(site_new_aligned_nothrow, ::operator new(n, kAlign, std::nothrow))
NEW_SITE(site_new_array_aligned_nothrow, ::operator new[](n, kAlign, std::nothrow))
NEW_SITE(site_new_fails, ::operator new(n, std::nothrow))
// clang-format on

extern "C" NOINLINE int site_new_throws(size_t n) {
  try {
    ::operator delete(::operator new(n));
  } catch (const std::bad_alloc&) {
    return 1;
  }
  return 0;
}

namespace {

using Allocate = void* (*)(size_t);
using Release = void (*)(void*, size_t);

void Each(Allocate allocate, const Release* releases, int release_count, size_t count) {
  for (size_t i = 0; i < count; i++) {
    void* p = allocate(1 + i % 300);
    if (!p) abort();
    if (i % 2 == 0) {
      known_block block = known_freed(p);
      releases[(i / 2) % release_count](p, block.bytes);
    }
  }
}

void ScalarForms() {
  const Release forms[] = {[](void* p, size_t) { ::operator delete(p); },
                           [](void* p, size_t n) { ::operator delete(p, n); },
                           [](void* p, size_t) { ::operator delete(p, std::nothrow); }};
  Each(site_new, forms, 3, 600);
  Each(site_new_nothrow, forms, 3, 300);
}

void ArrayForms() {
  const Release forms[] = {[](void* p, size_t) { ::operator delete[](p); },
                           [](void* p, size_t n) { ::operator delete[](p, n); },
                           [](void* p, size_t) { ::operator delete[](p, std::nothrow); }};
  Each(site_new_array, forms, 3, 500);
  Each(site_new_array_nothrow, forms, 3, 250);
}

void AlignedForms() {
  const Release forms[] = {[](void* p, size_t) { ::operator delete(p, kAlign); },
                           [](void* p, size_t n) { ::operator delete(p, n, kAlign); },
                           [](void* p, size_t) { ::operator delete(p, kAlign, std::nothrow); }};
  const Release array_forms[] = {
      [](void* p, size_t) { ::operator delete[](p, kAlign); },
      [](void* p, size_t n) { ::operator delete[](p, n, kAlign); },
      [](void* p, size_t) { ::operator delete[](p, kAlign, std::nothrow); }};
  Each(site_new_aligned, forms, 3, 120);
  Each(site_new_aligned_nothrow, forms, 3, 90);
  Each(site_new_array_aligned, array_forms, 3, 66);
  Each(site_new_array_aligned_nothrow, array_forms, 3, 48);
}

}  // namespace

int main() {
  ScalarForms();
  ArrayForms();
  AlignedForms();
  if (site_new_fails(size_t{1} << 61)) abort();
  if (!site_new_throws(size_t{1} << 61)) abort();
  ::operator delete(nullptr);
  known_pause();
}
