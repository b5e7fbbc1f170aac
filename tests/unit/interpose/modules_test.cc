// Modules are known by content: what is loaded again gets its id back, and nothing is believed of
// the time before something was unloaded.

#include "interpose/modules.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "interpose/region.h"
#include "tests/unit/interpose/support.h"

namespace memtrace::testing {
namespace {

uintptr_t Here() { return reinterpret_cast<uintptr_t>(&Here); }
uintptr_t InLibc() { return reinterpret_cast<uintptr_t>(&getenv); }

uint64_t Records() { return g_region.header()->sections[kModules].used.load(); }

TEST(Modules, AreKnownAgainAfterAnythingWasUnloaded) {
  MEMTRACE_ISOLATED();
  bool met = false;
  const LoadedModule own = FindLoadedModule(Here(), &met);
  const LoadedModule libc = FindLoadedModule(InLibc(), &met);
  ASSERT_NE(own.id, 0u);
  ASSERT_NE(libc.id, 0u);
  EXPECT_NE(own.id, libc.id);
  const uint64_t records = Records();
  for (int i = 0; i < 5000; i++) {
    ForgetModules();
    for (const bool asked : {true, false}) {
      met = false;
      const LoadedModule again = FindLoadedModule(Here(), &met);
      ASSERT_EQ(met, asked) << "the loader is asked once after each unloading";
      ASSERT_EQ(again.id, own.id);
      ASSERT_EQ(again.bias, own.bias);
    }
    ASSERT_EQ(FindLoadedModule(InLibc(), &met).id, libc.id);
  }
  EXPECT_EQ(Records(), records);
}

TEST(Modules, AnAddressInNone) {
  MEMTRACE_ISOLATED();
  bool met = false;
  const LoadedModule none = FindLoadedModule(4096, &met);
  EXPECT_EQ(none.id, 0u);
  EXPECT_EQ(none.bias, 0u);
}

}  // namespace
}  // namespace memtrace::testing
