#include "tools/render/units.h"

#include <gtest/gtest.h>

namespace memtrace {
namespace {

TEST(FormatSize, FollowsTracemalloc) {
  EXPECT_EQ(FormatSize(0), "0 B");
  EXPECT_EQ(FormatSize(10239), "10239 B");
  EXPECT_EQ(FormatSize(10240), "10.0 KiB");
  EXPECT_EQ(FormatSize(102349), "100.0 KiB");
  EXPECT_EQ(FormatSize(102400), "100 KiB");
  EXPECT_EQ(FormatSize(10485759), "10240 KiB");
  EXPECT_EQ(FormatSize(10485760), "10.0 MiB");
  EXPECT_EQ(FormatSize(int64_t{1} << 60), "1048576 TiB");
  EXPECT_EQ(FormatSignedSize(1200128), "+1172 KiB");
  EXPECT_EQ(FormatSignedSize(-3), "-3 B");
  EXPECT_EQ(FormatSignedSize(0), "+0 B");
  EXPECT_EQ(FormatSize(INT64_MIN), "-8388608 TiB");
}

TEST(FormatAverage, Rounds) {
  EXPECT_EQ(FormatAverage(639, 32), "20 B");
  EXPECT_EQ(FormatAverage(5, 0), "");
}

TEST(FormatCount, GroupsDigits) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(755181), "755,181");
  EXPECT_EQ(FormatCount(-1234567), "-1,234,567");
  EXPECT_EQ(FormatCount(-123), "-123");
  EXPECT_EQ(FormatSignedCount(1000), "+1,000");
  EXPECT_EQ(FormatSignedCount(-4), "-4");
}

TEST(FormatRate, ThreeDigits) {
  EXPECT_EQ(FormatSizeRate(0), "0 B/s");
  EXPECT_EQ(FormatSizeRate(0.02778), "0.0278 B/s");
  EXPECT_EQ(FormatSizeRate(99.94), "99.9 B/s");
  EXPECT_EQ(FormatSizeRate(102400), "100 KiB/s");
  EXPECT_EQ(FormatSizeRate(-20480), "-20.0 KiB/s");
  EXPECT_EQ(FormatRate(0.0001), "1e-04");
  EXPECT_EQ(FormatRate(12.345), "12.3");
  EXPECT_EQ(FormatRate(1234.5), "1,235");
}

TEST(FormatConfidence, NeverSaysCertain) {
  EXPECT_EQ(FormatConfidence(1), ">99.9 %");
  EXPECT_EQ(FormatConfidence(0.9996), ">99.9 %");
  EXPECT_EQ(FormatConfidence(0.9994), "99.9 %");
  EXPECT_EQ(FormatConfidence(0.5), "50.0 %");
}

TEST(FormatShare, NeedsAWhole) {
  EXPECT_EQ(FormatShare(186, 1000), "18.6 %");
  EXPECT_EQ(FormatShare(5, 0), "");
}

TEST(FormatDuration, PicksTheUnit) {
  EXPECT_EQ(FormatDuration(412000000), "412 ms");
  EXPECT_EQ(FormatDuration(1800000000), "1.8 s");
  EXPECT_EQ(FormatDuration(123000000000), "2 min 3 s");
  EXPECT_EQ(FormatDuration(3723000000000), "1 h 2 min");
}

}  // namespace
}  // namespace memtrace
