// Figures in words: sizes, counts, shares, times. One formatter for all that a person reads.

#ifndef MEMTRACE_TOOLS_RENDER_UNITS_H_
#define MEMTRACE_TOOLS_RENDER_UNITS_H_

#include <cstdint>
#include <string>

namespace memtrace {

// tracemalloc's rule: "10239 B", "10.0 KiB", "781 KiB", "66.8 MiB".
std::string FormatSize(int64_t bytes);
std::string FormatSignedSize(int64_t bytes);              // "+1172 KiB", "-3 B", "+0 B"
std::string FormatAverage(int64_t bytes, int64_t count);  // "" without blocks

std::string FormatCount(int64_t count);        // "755,181"
std::string FormatSignedCount(int64_t count);  // "+4", "-1,000", "+0"

// Something a second, to three digits: "1.2 KiB/s", "0.028 B/s"; "12.5", "-0.03", "1,200".
std::string FormatSizeRate(double bytes_per_second);
std::string FormatRate(double per_second);

// "98.2 %", and ">99.9 %" for what would be rounded to certainty.
std::string FormatConfidence(double confidence);

// "18.6 %"; "" when the whole is not positive.
std::string FormatShare(int64_t part, int64_t whole);

std::string FormatDuration(int64_t nanoseconds);  // "1.8 s", "2 min 3 s", "412 ms"

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_RENDER_UNITS_H_
