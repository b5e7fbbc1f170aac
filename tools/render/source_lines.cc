#include "tools/render/source_lines.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "tools/render/terminal.h"

namespace memtrace {
namespace {

constexpr off_t kLargestSource = off_t{8} << 20;

// The whole file; "" if it is none that a source could be.
std::string ReadSource(const std::string& path) {
  // Non-blocking, so that a named pipe does not hold the report up.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return "";
  struct stat info;
  std::string text;
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= kLargestSource) {
    text.resize(static_cast<size_t>(info.st_size));
    size_t done = 0;
    while (done < text.size()) {
      const ssize_t got = read(fd, text.data() + done, text.size() - done);
      if (got <= 0) break;
      done += static_cast<size_t>(got);
    }
    text.resize(done);
  }
  close(fd);
  return text;
}

std::string Clean(absl::string_view text) { return Printable(absl::StripAsciiWhitespace(text)); }

}  // namespace

SourceLines::SourceLines(const Profile& profile) {
  for (const SourceLine& line : profile.source_lines) {
    stored_.try_emplace({profile.string(line.filename), line.line}, line.text);
  }
}

const std::vector<std::string>& SourceLines::Lines(const std::string& path) {
  auto [it, fresh] = files_.try_emplace(path);
  if (fresh) it->second = absl::StrSplit(ReadSource(path), '\n');
  return it->second;
}

std::string SourceLines::Text(const Place& place) {
  if (place.line <= 0) return "";
  const auto stored = stored_.find(std::make_pair(place.file.recorded, place.line));
  if (stored != stored_.end()) return Clean(stored->second);
  if (!absl::StartsWith(place.file.absolute, "/")) return "";
  const std::vector<std::string>& lines = Lines(place.file.absolute);
  const size_t index = static_cast<size_t>(place.line) - 1;
  return index < lines.size() ? Clean(lines[index]) : "";
}

}  // namespace memtrace
