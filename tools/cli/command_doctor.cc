// memtrace doctor: what will and will not work on this machine, and why.

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "tools/cli/commands.h"
#include "tools/cli/doctor_checks.h"
#include "tools/render/terminal.h"

namespace memtrace {
namespace {

const char* Word(Verdict verdict) {
  return verdict == Verdict::kOk ? "ok" : verdict == Verdict::kWarn ? "warn" : "fail";
}

void PrintText(const std::vector<Finding>& findings) {
  const Terminal terminal = DescribeTerminal(STDOUT_FILENO);
  for (const Finding& finding : findings) {
    const Style style = finding.verdict == Verdict::kOk     ? Style::kGreen
                        : finding.verdict == Verdict::kWarn ? Style::kYellow
                                                            : Style::kRed;
    const std::string word = absl::StrFormat("%-4s", Word(finding.verdict));
    std::printf("%s  %-8s  %s\n", Styled(terminal, style, word).c_str(), finding.subject.c_str(),
                Printable(finding.what).c_str());
    if (!finding.advice.empty()) std::printf("%16s-> %s\n", "", Printable(finding.advice).c_str());
  }
}

void PrintJson(const std::vector<Finding>& findings) {
  nlohmann::ordered_json root;
  root["schema_version"] = 1;
  root["findings"] = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    root["findings"].push_back({{"verdict", Word(finding.verdict)},
                                {"subject", finding.subject},
                                {"what", Printable(finding.what)},
                                {"advice", finding.advice}});
  }
  std::printf("%s\n",
              root.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

}  // namespace

void RegisterDoctor(CLI::App& app, int* status) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command =
      app.add_subcommand("doctor", "Check what will and will not work on this machine, and why");
  command->add_flag("--json", *json, "As JSON");
  command->footer("Example: memtrace doctor");
  command->callback([json, status] {
    const std::vector<Finding> findings = RunDoctor();
    *json ? PrintJson(findings) : PrintText(findings);
    *status = 0;
    for (const Finding& finding : findings) {
      if (finding.verdict == Verdict::kFail) *status = 1;
    }
  });
}

}  // namespace memtrace
