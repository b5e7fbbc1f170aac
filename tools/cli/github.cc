#include "tools/cli/github.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "tools/model/whole_file.h"
#include "tools/render/breach.h"

namespace memtrace {
namespace {

// A summary of more than 1 MiB is dropped whole; other steps write to it as well.
constexpr size_t kSummaryBytes = 900000;
constexpr size_t kSummaryRows = 20;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

absl::Status SummarizeOnGitHub(const RenderInput& input) {
  const std::string path = Environment("GITHUB_STEP_SUMMARY");
  if (path.empty()) return absl::OkStatus();
  RenderInput top = input;
  top.top = kSummaryRows;
  const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) {
    return absl::UnavailableError(
        absl::StrCat(path, ": cannot append the summary: ", std::strerror(errno)));
  }
  absl::Status status = WriteAll(fd, absl::StrCat("\n", RenderMarkdown(top, kSummaryBytes), "\n"));
  close(fd);
  return status;
}

void AnnotateOnGitHub(const Breach& breach) {
  if (Environment("GITHUB_ACTIONS") != "true") return;
  std::fputs(BreachAnnotation(breach, Environment("GITHUB_WORKSPACE")).c_str(), stderr);
}

void AnnotateOnGitHub(const GrowthBreach& breach, GroupBy by) {
  if (Environment("GITHUB_ACTIONS") != "true") return;
  std::fputs(GrowthAnnotation(breach, by, Environment("GITHUB_WORKSPACE")).c_str(), stderr);
}

}  // namespace memtrace
