#include "tools/render/units.h"

#include <array>
#include <cmath>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace memtrace {
namespace {

std::string SizeText(double size, bool sign) {
  constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  for (size_t i = 0;; ++i) {
    if (std::fabs(size) < 100 && i > 0) {
      return sign ? absl::StrFormat("%+.1f %s", size, kUnits[i])
                  : absl::StrFormat("%.1f %s", size, kUnits[i]);
    }
    if (std::fabs(size) < 10 * 1024 || i + 1 == kUnits.size()) {
      return sign ? absl::StrFormat("%+.0f %s", size, kUnits[i])
                  : absl::StrFormat("%.0f %s", size, kUnits[i]);
    }
    size /= 1024;
  }
}

}  // namespace

std::string FormatSize(int64_t bytes) { return SizeText(static_cast<double>(bytes), false); }

std::string FormatSignedSize(int64_t bytes) { return SizeText(static_cast<double>(bytes), true); }

std::string FormatAverage(int64_t bytes, int64_t count) {
  if (count == 0) return "";
  return SizeText(static_cast<double>(bytes) / static_cast<double>(count), false);
}

std::string FormatCount(int64_t count) {
  std::string digits = absl::StrCat(count);
  const size_t first = digits[0] == '-' ? 1 : 0;
  for (size_t i = digits.size(); i > first + 3;) {
    i -= 3;
    digits.insert(i, ",");
  }
  return digits;
}

std::string FormatSignedCount(int64_t count) {
  return absl::StrCat(count >= 0 ? "+" : "", FormatCount(count));
}

std::string FormatSizeRate(double bytes_per_second) {
  if (std::fabs(bytes_per_second) < 100) return absl::StrCat(FormatRate(bytes_per_second), " B/s");
  return absl::StrCat(SizeText(bytes_per_second, false), "/s");
}

std::string FormatRate(double per_second) {
  const double size = std::fabs(per_second);
  if (size >= 100 && size < 9e18) return FormatCount(std::llround(per_second));
  if (size > 0 && size < 0.001) return absl::StrFormat("%.0e", per_second);
  return absl::StrFormat("%.3g", per_second);
}

std::string FormatConfidence(double confidence) {
  if (confidence >= 0.9995) return ">99.9 %";
  return absl::StrFormat("%.1f %%", 100 * confidence);
}

std::string FormatShare(int64_t part, int64_t whole) {
  if (whole <= 0) return "";
  return absl::StrFormat("%.1f %%", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string FormatDuration(int64_t nanoseconds) {
  const double seconds = static_cast<double>(nanoseconds) / 1e9;
  if (seconds < 1) return absl::StrFormat("%.0f ms", seconds * 1e3);
  if (seconds < 60) return absl::StrFormat("%.1f s", seconds);
  const int64_t whole = nanoseconds / 1000000000;
  if (whole < 3600) return absl::StrFormat("%d min %d s", whole / 60, whole % 60);
  return absl::StrFormat("%d h %d min", whole / 3600, whole / 60 % 60);
}

}  // namespace memtrace
