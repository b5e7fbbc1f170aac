#include "tools/model/trend.h"

#include <gtest/gtest.h>

#include <cmath>

namespace memtrace {
namespace {

TEST(StudentT, AgreesWithTheClosedFormsOfOneAndTwo) {
  for (double t : {-50.0, -3.0, -0.2, 0.0, 0.7, 1.0, 12.706}) {
    EXPECT_NEAR(StudentT(t, 1), 0.5 + std::atan(t) / std::acos(-1.0), 1e-12) << t;
    EXPECT_NEAR(StudentT(t, 2), 0.5 + t / (2 * std::sqrt(2 + t * t)), 1e-12) << t;
  }
}

TEST(StudentT, AgreesWithThePrintedTables) {
  // Upper points of 90, 95, 97.5, 99 and 99.5 percent, to the three digits of the tables.
  const struct {
    int freedom;
    double t[5];
  } kTable[] = {
      {1, {3.078, 6.314, 12.706, 31.821, 63.657}}, {2, {1.886, 2.920, 4.303, 6.965, 9.925}},
      {3, {1.638, 2.353, 3.182, 4.541, 5.841}},    {4, {1.533, 2.132, 2.776, 3.747, 4.604}},
      {7, {1.415, 1.895, 2.365, 2.998, 3.499}},    {10, {1.372, 1.812, 2.228, 2.764, 3.169}},
      {25, {1.316, 1.708, 2.060, 2.485, 2.787}},   {100, {1.290, 1.660, 1.984, 2.364, 2.626}}};
  const double kPart[] = {0.9, 0.95, 0.975, 0.99, 0.995};
  for (const auto& row : kTable) {
    for (int i = 0; i < 5; ++i) {
      EXPECT_NEAR(StudentT(row.t[i], row.freedom), kPart[i], 1e-4) << row.freedom;
      EXPECT_NEAR(StudentT(-row.t[i], row.freedom), 1 - kPart[i], 1e-4) << row.freedom;
    }
  }
}

TEST(FitTrend, FindsAnExactLine) {
  const Trend up = FitTrend({10, 11, 13, 20}, {107, 110, 116, 137});
  EXPECT_DOUBLE_EQ(up.slope, 3);
  EXPECT_EQ(up.error, 0);
  EXPECT_EQ(up.confidence, 1);
  EXPECT_DOUBLE_EQ(up.r_squared, 1);
  EXPECT_EQ(FitTrend({1, 2, 3}, {9, 6, 3}).confidence, 0);
}

TEST(FitTrend, ALevelHasNoTrend) {
  const Trend level = FitTrend({1, 2, 3}, {7, 7, 7});
  EXPECT_EQ(level.slope, 0);
  EXPECT_EQ(level.confidence, 0.5);
  EXPECT_EQ(level.r_squared, 0);
  EXPECT_NEAR(FitTrend({-1, 0, 1}, {4, 9, 4}).confidence, 0.5, 1e-12) << "up and down again";
}

// By hand: times -2..2 about their mean, squares 10; figures -2 0 -1 2 1 about theirs, squares 10,
// products 8. So the slope is 0.8, off by -0.4 0.8 -1 1.2 -0.6, squares 3.6.
TEST(FitTrend, FindsTheLineOfLeastSquares) {
  const Trend trend = FitTrend({1, 2, 3, 4, 5}, {2, 4, 3, 6, 5});
  EXPECT_DOUBLE_EQ(trend.slope, 0.8);
  EXPECT_NEAR(trend.error, std::sqrt(0.12), 1e-12);
  EXPECT_NEAR(trend.r_squared, 0.64, 1e-12);
  EXPECT_NEAR(trend.confidence, StudentT(0.8 / std::sqrt(0.12), 3), 1e-12);
}

TEST(FitTrend, LargeFiguresLoseNothing) {
  const double base = std::ldexp(1, 50);
  const Trend trend = FitTrend({1e6, 1e6 + 1, 1e6 + 2}, {base, base + 1000, base + 2000});
  EXPECT_NEAR(trend.slope, 1000, 1e-6);
  EXPECT_EQ(trend.confidence, 1);
}

}  // namespace
}  // namespace memtrace
