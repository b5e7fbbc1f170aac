// A straight line through figures over time, and how sure its slope is.
//
// The line is the one of least squares: figure = a + slope * time. `confidence` is one-sided, from
// Student's t-distribution with n - 2 degrees of freedom and t = slope / error: the probability
// that figures without any trend, scattered about a level as these are about their line, would not
// rise as steeply as these by chance. 0.5: no trend at all; near 1: growth; near 0: decline.
// Figures that lie on a rising line exactly have confidence 1, and so have those of three points
// only: it says nothing of what comes afterwards.

#ifndef MEMTRACE_TOOLS_MODEL_TREND_H_
#define MEMTRACE_TOOLS_MODEL_TREND_H_

#include <vector>

namespace memtrace {

struct Trend {
  double slope = 0;       // figures a second
  double error = 0;       // the slope's standard error
  double r_squared = 0;   // part of the variance that the line explains; 0 without any variance
  double confidence = 0;  // 0 to 1
};

// `seconds` and `figures` are equally long, at least 3; the times are not all the same.
Trend FitTrend(const std::vector<double>& seconds, const std::vector<double>& figures);

// The distribution function of Student's t with `freedom` >= 1 degrees of freedom.
double StudentT(double t, int freedom);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_MODEL_TREND_H_
