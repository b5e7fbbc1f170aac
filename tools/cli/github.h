// What a comparison or a leak view leaves behind in a GitHub workflow: a table in the step's
// summary, and an annotation for each broken limit. Nothing outside one.

#ifndef MEMTRACE_TOOLS_CLI_GITHUB_H_
#define MEMTRACE_TOOLS_CLI_GITHUB_H_

#include "absl/status/status.h"
#include "tools/model/leaks.h"
#include "tools/model/threshold.h"
#include "tools/render/render.h"

namespace memtrace {

// Appends the Markdown table (top 20) to the file that GITHUB_STEP_SUMMARY names.
absl::Status SummarizeOnGitHub(const RenderInput& input);

// With GITHUB_ACTIONS=true, prints the annotation on stderr: stdout is the report's, and the runner
// reads both.
void AnnotateOnGitHub(const Breach& breach);
void AnnotateOnGitHub(const GrowthBreach& breach, GroupBy by);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_GITHUB_H_
