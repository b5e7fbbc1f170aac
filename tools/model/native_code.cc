#include "tools/model/native_code.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "tools/model/file_names.h"

namespace memtrace {
namespace {

// Names without their arguments.
constexpr absl::string_view kLayers[] = {"malloc",
                                         "calloc",
                                         "realloc",
                                         "reallocarray",
                                         "memalign",
                                         "valloc",
                                         "pvalloc",
                                         "aligned_alloc",
                                         "posix_memalign",
                                         "__libc_malloc",
                                         "__rust_alloc",
                                         "__rust_realloc",
                                         "__rust_alloc_zeroed",
                                         "__rdl_alloc",
                                         "__rdl_realloc",
                                         "__rdl_alloc_zeroed"};

constexpr absl::string_view kLayerPrefixes[] = {
    // C++, libstdc++ and libc++
    "operator new", "std::allocator<", "std::allocator_traits<", "std::__new_allocator<",
    "std::__allocator_traits_base", "std::__allocate_guarded", "std::_Vector_base<",
    "std::_Deque_base<", "std::_Fwd_list_base<", "std::__cxx11::_List_base<",
    "std::__detail::_Hashtable_alloc<", "__gnu_cxx::new_allocator<", "__gnu_cxx::__alloc_traits<",
    "std::pmr::", "std::__1::allocator<", "std::__1::allocator_traits<",
    "std::__1::__libcpp_allocate", "std::__1::__libcpp_operator_new",
    "std::__1::__allocate_at_least", "std::__1::__allocation_guard",
    // Rust
    "alloc::alloc::", "<alloc::alloc::", "alloc::raw_vec::", "<alloc::raw_vec::", "__rustc::",
    "std::alloc::", "<std::alloc::", "std::sys::alloc::", "core::alloc::"};

constexpr absl::string_view kStandardPrefixes[] = {
    "std::",   "__gnu_cxx::", "core::",      "alloc::",     "<std::",
    "<core::", "<alloc::",    "hashbrown::", "<hashbrown::"};

constexpr absl::string_view kSystemFolders[] = {
    "/usr/bin/", "/usr/sbin/", "/bin/",       "/sbin/",      "/usr/include/",
    "/usr/src/", "/usr/lib/",  "/usr/lib32/", "/usr/lib64/", "/usr/libexec/",
    "/lib/",     "/lib32/",    "/lib64/",     "/build/",     "/rustc/"};

// Wherever they were installed to.
constexpr absl::string_view kSystemLibraries[] = {
    "libc.so", "libc-2.",  "libstdc++.so", "libc++.so", "libc++abi.so", "libgcc_s",
    "libm.so", "libdl.so", "libpthread",   "ld-linux",  "ld-musl",      "libmemtrace"};

template <typename List>
bool BeginsWithAny(absl::string_view text, const List& list) {
  return std::any_of(std::begin(list), std::end(list),
                     [&](absl::string_view prefix) { return absl::StartsWith(text, prefix); });
}

bool IsInSystemFolder(absl::string_view path) {
  return BeginsWithAny(path, kSystemFolders) || absl::StrContains(path, "/rustlib/") ||
         absl::StrContains(path, "/.cargo/registry/");
}

// A template's name begins with the type that it returns: "int* std::__1::__libcpp_allocate<int>".
absl::string_view WithoutReturnType(absl::string_view function) {
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i < function.size(); ++i) {
    const char c = function[i];
    if (c == '(' && depth == 0) break;
    if (c == '<') ++depth;
    if (c == '>') --depth;
    if (c == ' ' && depth == 0 && !absl::EndsWith(function.substr(0, i), "operator")) begin = i + 1;
  }
  return function.substr(begin);
}

}  // namespace

bool IsAllocatorLayer(absl::string_view function) {
  const absl::string_view plain = WithoutReturnType(function);
  if (BeginsWithAny(plain, kLayerPrefixes)) return true;
  const absl::string_view name = plain.substr(0, plain.find('('));
  return std::find(std::begin(kLayers), std::end(kLayers), name) != std::end(kLayers);
}

bool IsStandardFunction(absl::string_view function) {
  return BeginsWithAny(WithoutReturnType(function), kStandardPrefixes);
}

bool IsSystemSource(absl::string_view path) { return IsInSystemFolder(path); }

bool IsSystemModule(absl::string_view path) {
  return IsInSystemFolder(path) || BeginsWithAny(BaseName(path), kSystemLibraries);
}

bool IsInterpreterModule(absl::string_view path) {
  absl::string_view name = BaseName(path);
  if (absl::StartsWith(name, "libpython")) return true;
  if (!absl::ConsumePrefix(&name, "python")) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '.' || c == 't' || c == 'd';
  });
}

}  // namespace memtrace
