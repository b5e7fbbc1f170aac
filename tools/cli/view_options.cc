#include "tools/cli/view_options.h"

#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tools/model/whole_file.h"

namespace memtrace {
namespace {

const std::vector<std::string> kGroupNames = {"lineno",    "filename", "function",
                                              "traceback", "domain",   "thread",
                                              "process",   "module",   "label"};
const std::vector<std::string> kMetricNames = {"now", "peak", "total", "temporary"};
const std::vector<std::string> kFormatNames = {"text", "json", "csv", "markdown", "tracemalloc"};
const std::vector<std::string> kColorNames = {"auto", "always", "never"};
const std::vector<std::string> kDomainNames = {"malloc", "python.mem", "python.obj", "mmap",
                                               "mmap.file"};

size_t IndexIn(const std::vector<std::string>& names, const std::string& name) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return i;
  }
  return 0;
}

// One value each time the option is given, so that it never takes the file names that follow.
CLI::Option* Repeatable(CLI::Option* option) { return option->allow_extra_args(false); }

}  // namespace

void AddSymbolsOption(CLI::App* command, std::vector<std::string>* folders) {
  Repeatable(command->add_option("--symbols", *folders,
                                 "Look for programs, libraries and their debug information here\n"
                                 "first, by path, name and build-id; may be repeated"))
      ->check(CLI::ExistingDirectory)
      ->type_name("DIR");
}

LoadOptions LoadOptionsFrom(const ViewOptions& options) {
  LoadOptions load;
  load.symbols.folders = options.symbols;
  return load;
}

void AddViewOptions(CLI::App* command, ViewOptions* options) {
  command->add_option("--by", options->by, "Group by")
      ->check(CLI::IsMember(kGroupNames))
      ->capture_default_str();
  command
      ->add_option("--at", options->at,
                   "Figures: live now, live at the peak, total ever allocated, or temporary\n"
                   "(freed before their thread's next allocation)")
      ->check(CLI::IsMember(kMetricNames))
      ->capture_default_str();
  command->add_option("--top", options->top, "Rows to show; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_flag(
      "--own", options->own,
      "Attribute to the innermost line outside the standard library and site-packages");
  command->add_flag("--cumulative", options->cumulative, "Count a line with all that it called");
  Repeatable(command->add_option("--domain", options->domains, "Only these domains"))
      ->delimiter(',')
      ->check(CLI::IsMember(kDomainNames));
  Repeatable(command->add_option("--include", options->include,
                                 "Only files that match the pattern, e.g. '*/pandas/*'"))
      ->type_name("GLOB");
  Repeatable(command->add_option("--exclude", options->exclude, "No files that match the pattern"))
      ->type_name("GLOB");
  Repeatable(command->add_option("--label", options->labels,
                                 "Only what the program labels so (with memtrace.label(...)), and\n"
                                 "what is labelled inside of it; '(no label)': only the rest"))
      ->type_name("GLOB");
  Repeatable(command->add_option("--map", options->mappings,
                                 "Take paths that begin with OLD as if they began with NEW"))
      ->type_name("OLD=NEW");
  AddSymbolsOption(command, &options->symbols);
  command->add_option("--process", options->process, "Only this process of the snapshot")
      ->type_name("PID|NAME");
  command->add_option("--format", options->format, "Form of the output")
      ->check(CLI::IsMember(kFormatNames))
      ->capture_default_str();
  command->add_option("--color", options->color, "Colours")
      ->check(CLI::IsMember(kColorNames))
      ->capture_default_str();
  command->add_option("-o,--output", options->output, "Write here instead of standard output")
      ->type_name("FILE");
  command->add_flag("-f,--force", options->force, "Replace an existing output file");
}

absl::StatusOr<View> ViewFrom(const ViewOptions& options) {
  View view;
  view.by = static_cast<GroupBy>(IndexIn(kGroupNames, options.by));
  view.metric = static_cast<Metric>(IndexIn(kMetricNames, options.at));
  view.own = options.own;
  view.cumulative = options.cumulative;
  view.include = options.include;
  view.exclude = options.exclude;
  view.labels = options.labels;
  view.process = options.process;
  for (const std::string& name : options.domains) view.domains.push_back(DomainFromName(name));
  for (const std::string& text : options.mappings) {
    const size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--map ", text, ": write OLD=NEW, for example --map /build/src=/home/me/src"));
    }
    view.mappings.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return view;
}

Format FormatFrom(const ViewOptions& options) {
  return static_cast<Format>(IndexIn(kFormatNames, options.format));
}

Terminal TerminalFrom(const ViewOptions& options) {
  const ColorChoice choice = static_cast<ColorChoice>(IndexIn(kColorNames, options.color));
  if (options.output.empty() || options.output == "-") {
    return DescribeTerminal(STDOUT_FILENO, choice);
  }
  Terminal file;
  file.color = choice == ColorChoice::kAlways;
  return file;
}

absl::Status Emit(const ViewOptions& options, const std::string& text) {
  if (!options.output.empty() && options.output != "-") {
    return WriteWholeFile(options.output, options.force, text);
  }
  std::fflush(stdout);
  absl::Status status = WriteAll(STDOUT_FILENO, text);
  if (status.ok()) return status;
  return absl::UnavailableError(
      absl::StrCat("cannot write to standard output: ", status.message()));
}

int Complain(const absl::Status& status, bool usage) {
  const std::string message(status.message());
  std::fprintf(stderr, "memtrace: %s\n", message.c_str());
  return usage ? 2 : 1;
}

}  // namespace memtrace
