#include "interpose/os/os.h"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace memtrace::testing {
namespace {

TEST(Os, AVariableIsSetToAnythingButNothingAndZero) {
  constexpr char kName[] = "MEMTRACE_TEST_VARIABLE";
  unsetenv(kName);
  EXPECT_FALSE(os::IsSet(kName));
  for (const char* value : {"", "0"}) {
    setenv(kName, value, 1);
    EXPECT_FALSE(os::IsSet(kName)) << value;
  }
  for (const char* value : {"1", "yes", "00", "0x1"}) {
    setenv(kName, value, 1);
    EXPECT_TRUE(os::IsSet(kName)) << value;
  }
  unsetenv(kName);
}

}  // namespace
}  // namespace memtrace::testing
