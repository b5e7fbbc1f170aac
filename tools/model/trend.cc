#include "tools/model/trend.h"

#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>

namespace memtrace {
namespace {

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

// For whole degrees of freedom the integral is a finite sum over powers of the cosine of
// atan(t / sqrt(freedom)): of the even powers for an even number, of the odd ones for an odd one.
double StudentT(double t, int freedom) {
  const double angle = std::atan(t / std::sqrt(static_cast<double>(freedom)));
  const double cosine = std::cos(angle);
  const bool odd = freedom % 2 != 0;
  double term = odd ? cosine : 1.0;
  double sum = freedom == 1 ? 0.0 : term;
  for (int k = odd ? 3 : 2; k < freedom; k += 2) {
    term *= cosine * cosine * (k - 1) / k;
    sum += term;
  }
  double both_sides = std::sin(angle) * sum;
  if (odd) both_sides = (angle + both_sides) * 2 / std::acos(-1.0);
  return (1 + both_sides) / 2;
}

Trend FitTrend(const std::vector<double>& seconds, const std::vector<double>& figures) {
  const size_t n = seconds.size();
  const double middle = Mean(seconds);
  const double level = Mean(figures);
  double xx = 0, xy = 0, yy = 0;
  for (size_t i = 0; i < n; ++i) {
    xx += (seconds[i] - middle) * (seconds[i] - middle);
    xy += (seconds[i] - middle) * (figures[i] - level);
    yy += (figures[i] - level) * (figures[i] - level);
  }
  Trend trend;
  trend.slope = xy / xx;
  double residual = 0;
  for (size_t i = 0; i < n; ++i) {
    const double off = figures[i] - level - trend.slope * (seconds[i] - middle);
    residual += off * off;
  }
  // What rounding alone leaves over is no scatter.
  if (residual <= yy * static_cast<double>(n) * std::numeric_limits<double>::epsilon())
    residual = 0;
  trend.error = std::sqrt(residual / static_cast<double>(n - 2) / xx);
  trend.r_squared = yy > 0 ? 1 - residual / yy : 0;
  if (trend.error > 0) {
    trend.confidence = StudentT(trend.slope / trend.error, static_cast<int>(n) - 2);
  } else {
    trend.confidence = trend.slope > 0 ? 1 : trend.slope < 0 ? 0 : 0.5;
  }
  return trend;
}

}  // namespace memtrace
