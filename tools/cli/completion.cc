#include "tools/cli/completion.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace memtrace {
namespace {

// An option as shells want to hear of it.
struct Flag {
  std::vector<std::string> names;    // "-o", "--output"
  std::vector<std::string> choices;  // of its value, when they are few
  std::string description;           // first line
  bool takes_value = false;
  bool takes_file = false;
};

struct Command {
  std::string name;
  std::string description;
  std::vector<Flag> flags;
  std::vector<std::string> choices;  // of its first argument
};

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

// CLI11 describes a choice as "TEXT:{a,b,c}".
std::vector<std::string> Choices(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t begin = type.find('{');
  const size_t end = type.find('}', begin == std::string::npos ? 0 : begin);
  if (begin == std::string::npos || end == std::string::npos) return {};
  return absl::StrSplit(type.substr(begin + 1, end - begin - 1), ',');
}

Flag Describe(const CLI::Option& option) {
  Flag flag;
  for (const std::string& name : option.get_snames()) flag.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) flag.names.push_back("--" + name);
  flag.description = FirstLine(option.get_description());
  flag.takes_value = option.get_items_expected_max() > 0;
  flag.choices = Choices(option);
  const std::string type = option.get_type_name();
  flag.takes_file = flag.takes_value && (type.find("FILE") != std::string::npos ||
                                         type.find("DIR") != std::string::npos);
  return flag;
}

std::vector<Command> Commands(const CLI::App& app) {
  std::vector<Command> commands;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    Command command{sub->get_name(), FirstLine(sub->get_description()), {}, {}};
    for (const CLI::Option* option : sub->get_options()) {
      if (option->get_positional() && command.choices.empty()) command.choices = Choices(*option);
      if (!option->get_snames().empty() || !option->get_lnames().empty()) {
        command.flags.push_back(Describe(*option));
      }
    }
    commands.push_back(std::move(command));
  }
  return commands;
}

std::string Names(const std::vector<Command>& commands) {
  return absl::StrJoin(commands, " ", [](std::string* out, const Command& command) {
    absl::StrAppend(out, command.name);
  });
}

std::string FlagNames(const Command& command) {
  return absl::StrJoin(command.flags, " ", [](std::string* out, const Flag& flag) {
    absl::StrAppend(out, absl::StrJoin(flag.names, " "));
  });
}

// Inside single quotes of a shell.
std::string Quoted(const std::string& text) { return absl::StrReplaceAll(text, {{"'", "'\\''"}}); }

// The branch of bash's `case` that completes a value.
std::string BashValues(const Command& command) {
  std::string out;
  for (const Flag& flag : command.flags) {
    if (!flag.takes_value) continue;
    const std::string reply =
        flag.choices.empty()
            ? (flag.takes_file ? "COMPREPLY=($(compgen -f -- \"$current\"))" : "COMPREPLY=()")
            : absl::StrCat("COMPREPLY=($(compgen -W '", absl::StrJoin(flag.choices, " "),
                           "' -- \"$current\"))");
    for (const std::string& name : flag.names) {
      absl::StrAppend(&out, "    ", command.name, ":", name, ") ", reply, "; return ;;\n");
    }
  }
  return out;
}

}  // namespace

std::string BashCompletion(const CLI::App& app) {
  const std::vector<Command> commands = Commands(app);
  std::string values;
  std::string words;
  for (const Command& command : commands) {
    absl::StrAppend(&values, BashValues(command));
    absl::StrAppend(&words, "    ", command.name, ") words='", FlagNames(command),
                    command.choices.empty() ? "" : " ", absl::StrJoin(command.choices, " "),
                    "' ;;\n");
  }
  return absl::StrCat(
      "# bash completion for memtrace; put into your .bashrc:\n"
      "#   source <(memtrace completion bash)\n"
      "_memtrace() {\n"
      "  local current=\"${COMP_WORDS[COMP_CWORD]}\" previous=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
      "  local command=\"${COMP_WORDS[1]}\" words\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
      "    COMPREPLY=($(compgen -W '",
      Names(commands),
      " --help --version' -- \"$current\")); return\n"
      "  fi\n"
      "  case \"$command:$previous\" in\n",
      values,
      "  esac\n"
      "  case \"$command\" in\n",
      words,
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
      "  case \"$current\" in -*) ;; *) COMPREPLY+=($(compgen -f -- \"$current\")) ;; esac\n"
      "}\n"
      "complete -o filenames -F _memtrace memtrace\n");
}

std::string ZshCompletion(const CLI::App& app) {
  const auto spec = [](const std::string& text) {
    return Quoted(
        absl::StrReplaceAll(text, {{"\\", "\\\\"}, {":", "\\:"}, {"[", "\\["}, {"]", "\\]"}}));
  };
  std::string names;
  std::string cases;
  for (const Command& command : Commands(app)) {
    absl::StrAppend(&names, "    '", command.name, ":", spec(command.description), "'\n");
    absl::StrAppend(&cases, "    ", command.name, ")\n      _arguments");
    for (const Flag& flag : command.flags) {
      const std::string action = !flag.choices.empty()
                                     ? absl::StrCat("(", absl::StrJoin(flag.choices, " "), ")")
                                 : flag.takes_file ? "_files"
                                                   : " ";
      for (const std::string& name : flag.names) {
        absl::StrAppend(&cases, " \\\n        '*", name, "[", spec(flag.description), "]",
                        flag.takes_value ? absl::StrCat(":value:", action) : "", "'");
      }
    }
    absl::StrAppend(&cases, " \\\n        '*:argument:",
                    command.choices.empty()
                        ? "_files"
                        : absl::StrCat("(", absl::StrJoin(command.choices, " "), ")"),
                    "' ;;\n");
  }
  return absl::StrCat(
      "#compdef memtrace\n"
      "# zsh completion for memtrace; put into your .zshrc, behind compinit:\n"
      "#   source <(memtrace completion zsh)\n"
      "_memtrace() {\n"
      "  local -a commands=(\n",
      names,
      "  )\n"
      "  if (( CURRENT == 2 )); then\n"
      "    _describe command commands\n"
      "    return\n"
      "  fi\n"
      "  local command=$words[2]\n"
      "  shift words\n"
      "  (( CURRENT-- ))\n"
      "  case $command in\n",
      cases,
      "  esac\n"
      "}\n"
      "if [ \"$funcstack[1]\" = _memtrace ]; then _memtrace \"$@\"; else compdef _memtrace "
      "memtrace; "
      "fi\n");
}

std::string FishCompletion(const CLI::App& app) {
  const std::vector<Command> commands = Commands(app);
  std::string out =
      "# fish completion for memtrace; put into your config.fish:\n"
      "#   memtrace completion fish | source\n";
  for (const Command& command : commands) {
    absl::StrAppend(&out, "complete -c memtrace -f -n __fish_use_subcommand -a ", command.name,
                    " -d '", Quoted(command.description), "'\n");
    const std::string when =
        absl::StrCat("complete -c memtrace -n '__fish_seen_subcommand_from ", command.name, "'");
    if (!command.choices.empty()) {
      absl::StrAppend(&out, when, " -f -a '", absl::StrJoin(command.choices, " "), "'\n");
    }
    for (const Flag& flag : command.flags) {
      absl::StrAppend(&out, when);
      for (const std::string& name : flag.names) {
        const bool is_long = name.rfind("--", 0) == 0;
        absl::StrAppend(&out, is_long ? " -l " : " -s ", name.substr(is_long ? 2 : 1));
      }
      if (flag.takes_value && !flag.takes_file) absl::StrAppend(&out, " -x");
      if (flag.takes_value && flag.takes_file) absl::StrAppend(&out, " -r");
      if (!flag.choices.empty()) {
        absl::StrAppend(&out, " -a '", absl::StrJoin(flag.choices, " "), "'");
      }
      absl::StrAppend(&out, " -d '", Quoted(flag.description), "'\n");
    }
  }
  return out;
}

}  // namespace memtrace
