#include "tools/model/native_code.h"

#include <gtest/gtest.h>

namespace memtrace {
namespace {

// Names as compilers and demanglers write them.
TEST(NativeCode, KnowsTheLayersAboveMalloc) {
  for (const char* name :
       {"operator new(unsigned long)", "operator new[](unsigned long, std::align_val_t)",
        "std::__new_allocator<int>::allocate(unsigned long, void const*)",
        "std::allocator<char>::allocate(unsigned long)",
        "std::allocator_traits<std::allocator<int> >::allocate(std::allocator<int>&, unsigned "
        "long)",
        "__gnu_cxx::new_allocator<int>::allocate(unsigned long, void const*)",
        "std::_Vector_base<int, std::allocator<int> >::_M_allocate(unsigned long)",
        "void* std::__1::__libcpp_allocate<int>(unsigned long, unsigned long)", "malloc", "calloc",
        "alloc::alloc::alloc", "<alloc::alloc::Global as core::alloc::Allocator>::allocate",
        "alloc::raw_vec::RawVec<T,A>::grow_one", "alloc::raw_vec::finish_grow", "__rust_alloc",
        "__rustc::__rust_alloc", "std::alloc::System::alloc_impl"}) {
    EXPECT_TRUE(IsAllocatorLayer(name)) << name;
  }
}

TEST(NativeCode, TakesNobodyElseForALayer) {
  for (const char* name :
       {"", "main", "xmalloc", "malloc_hooked(int)", "my::allocator<int>::allocate(unsigned long)",
        "std::vector<int, std::allocator<int> >::push_back(int const&)", "alloc::vec::Vec<T>::push",
        "make(std::allocator<int>)", "App::operator new(unsigned long)",
        "std::allocator<int> make<int>(int)"}) {
    EXPECT_FALSE(IsAllocatorLayer(name)) << name;
  }
}

TEST(NativeCode, KnowsTheStandardLibraries) {
  EXPECT_TRUE(IsStandardFunction("void std::vector<int>::emplace_back<int>(int&&)"));
  EXPECT_TRUE(IsStandardFunction("<alloc::string::String as core::clone::Clone>::clone"));
  EXPECT_FALSE(IsStandardFunction("std::vector<int> make(int)"));
  EXPECT_FALSE(IsStandardFunction("app::core::run"));
  EXPECT_FALSE(IsStandardFunction(""));
}

TEST(NativeCode, KnowsWhatTheSystemBrings) {
  EXPECT_TRUE(IsSystemSource("/usr/include/c++/12/bits/new_allocator.h"));
  EXPECT_TRUE(IsSystemSource("/rustc/90b35a623/library/alloc/src/raw_vec.rs"));
  EXPECT_TRUE(IsSystemSource("/build/glibc-2.36/malloc/malloc.c"));
  EXPECT_TRUE(IsSystemSource("/home/me/.cargo/registry/src/index/serde-1.0/src/lib.rs"));
  EXPECT_FALSE(IsSystemSource("/home/me/build/main.cc"));
  EXPECT_FALSE(IsSystemSource("/usr/local/src/app/main.cc"));
  EXPECT_TRUE(IsSystemModule("/usr/lib/x86_64-linux-gnu/libssl.so.3"));
  EXPECT_TRUE(IsSystemModule("/opt/conda/lib/libstdc++.so.6.0.30"));
  EXPECT_FALSE(IsSystemModule("/home/me/libcount.so"));
  EXPECT_TRUE(IsSystemModule("/usr/bin/bash"));
  EXPECT_FALSE(IsSystemModule("/usr/local/bin/app"));
}

TEST(NativeCode, KnowsTheInterpreter) {
  for (const char* path : {"/usr/bin/python3.12", "/usr/bin/python3", "/opt/py/bin/python",
                           "/opt/py/bin/python3.13t", "/opt/py/lib/libpython3.12.so.1.0"}) {
    EXPECT_TRUE(IsInterpreterModule(path)) << path;
  }
  EXPECT_FALSE(IsInterpreterModule("/usr/bin/python3-config"));
  EXPECT_FALSE(IsInterpreterModule("/app/_python.so"));
}

}  // namespace
}  // namespace memtrace
