#include "tools/read/smaps.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace memtrace {
namespace {

// Twice what a process of the kernel's most mappings (65,530) has.
constexpr size_t kMostText = size_t{128} << 20;
constexpr uint64_t kMostRss = uint64_t{1} << 47;

absl::Status ReadError(int error) {
  if (error == ENOENT || error == ESRCH) {
    return absl::NotFoundError("the process has ended");
  }
  if (error == EACCES || error == EPERM) {
    return absl::PermissionDeniedError(
        "the kernel does not let this user look at the process's mappings");
  }
  return absl::UnavailableError(
      absl::StrFormat("the process's mappings cannot be read: %s", std::strerror(error)));
}

// "start-end perms offset dev inode   name"; false: not the first line of a mapping.
bool ParseFirstLine(absl::string_view line, Vma* vma) {
  // Bounded for sscanf; the name comes from the line itself.
  const std::string head(line.substr(0, 200));
  char perms[5] = {};
  int name = 0;
  if (std::sscanf(head.c_str(), "%" SCNx64 "-%" SCNx64 " %4s %*x %*x:%*x %" SCNu64 " %n",
                  &vma->start, &vma->end, perms, &vma->inode, &name) != 4) {
    return false;
  }
  vma->readable = perms[0] == 'r';
  vma->writable = perms[1] == 'w';
  vma->shared = perms[3] == 's';
  if (name > 0 && static_cast<size_t>(name) < line.size()) {
    vma->name = std::string(absl::StripAsciiWhitespace(line.substr(static_cast<size_t>(name))));
  }
  return vma->start < vma->end;
}

void ParseFlags(absl::string_view flags, Vma* vma) {
  for (absl::string_view flag : absl::StrSplit(flags, ' ', absl::SkipEmpty())) {
    if (flag == "nh") vma->no_huge = true;
    if (flag == "dd") vma->no_dump = true;
    if (flag == "nr") vma->no_swap = true;
    if (flag == "gu") vma->guarded = true;
  }
}

void ParseField(absl::string_view line, Vma* vma) {
  if (absl::ConsumePrefix(&line, "VmFlags:")) {
    ParseFlags(line, vma);
  } else if (absl::ConsumePrefix(&line, "Rss:")) {
    uint64_t kib = 0;
    absl::ConsumeSuffix(&line, "kB");
    if (absl::SimpleAtoi(line, &kib) && kib < kMostRss / 1024) vma->rss = kib * 1024;
  }
}

}  // namespace

std::vector<Vma> ParseSmaps(absl::string_view text) {
  std::vector<Vma> vmas;
  bool known = false;  // whose fields follow
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const size_t word = line.find(' ');
    if (word != absl::string_view::npos && word > 0 && line[word - 1] == ':') {
      if (known) ParseField(line, &vmas.back());
      continue;
    }
    Vma vma;
    known = ParseFirstLine(line, &vma) && (vmas.empty() || vmas.back().end <= vma.start);
    if (known) vmas.push_back(std::move(vma));
  }
  return vmas;
}

absl::StatusOr<std::vector<Vma>> ReadSmaps(int32_t pid) {
  const int fd = open(absl::StrFormat("/proc/%d/smaps", pid).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ReadError(errno);
  std::string text;
  ssize_t bytes = 0;
  do {
    const size_t at = text.size();
    text.resize(at + 64 * 1024);
    bytes = read(fd, text.data() + at, text.size() - at);
    const int error = errno;
    text.resize(at + static_cast<size_t>(bytes > 0 ? bytes : 0));
    if (bytes < 0 && error != EINTR) {
      close(fd);
      return ReadError(error);
    }
  } while (bytes != 0 && text.size() < kMostText);
  close(fd);
  if (text.empty()) return ReadError(ESRCH);  // a zombie has no memory
  return ParseSmaps(text);
}

}  // namespace memtrace
