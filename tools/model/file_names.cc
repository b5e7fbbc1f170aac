#include "tools/model/file_names.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace memtrace {
namespace {

std::string FolderOf(absl::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos) return "";
  return std::string(slash == 0 ? "/" : path.substr(0, slash));
}

std::string Absolute(const std::string& folder, absl::string_view path) {
  if (absl::StartsWith(path, "/") || folder.empty()) return NormalizePath(path);
  return NormalizePath(absl::StrCat(folder, "/", path));
}

// The part of `path` below `folder`; empty if it is not below it.
absl::string_view Below(absl::string_view folder, absl::string_view path) {
  if (folder.empty() || !absl::ConsumePrefix(&path, folder)) return "";
  if (folder != "/" && !absl::ConsumePrefix(&path, "/")) return "";
  return path;
}

// "python3.12", "python3", "python3.13t", "pypy3.9"
bool IsPythonFolder(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, "python") && !absl::ConsumePrefix(&name, "pypy")) return false;
  absl::ConsumeSuffix(&name, "t");
  if (name.empty()) return false;
  for (char c : name) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c)) && c != '.') return false;
  }
  return true;
}

// Where the path goes on behind the last component that `is` accepts; npos if there is none.
template <typename Is>
size_t FindComponent(absl::string_view path, Is is) {
  size_t end = path.rfind('/');
  while (end != absl::string_view::npos && end != 0) {
    const size_t begin = path.rfind('/', end - 1);
    const size_t first = begin == absl::string_view::npos ? 0 : begin + 1;
    if (is(path.substr(0, first), path.substr(first, end - first))) return first;
    end = begin;
  }
  return absl::string_view::npos;
}

bool IsSitePackages(absl::string_view, absl::string_view name) {
  return name == "site-packages" || name == "dist-packages";
}

bool IsStandardLibrary(absl::string_view before, absl::string_view name) {
  absl::ConsumeSuffix(&before, "/");
  const absl::string_view parent = BaseName(before);
  return IsPythonFolder(name) && (parent == "lib" || parent == "lib64");
}

// memtrace's own Python package, which lies beside the tool and not among installed packages.
bool IsOwnPackage(absl::string_view before, absl::string_view name) {
  absl::ConsumeSuffix(&before, "/");
  return name == "memtrace" && BaseName(before) == "python";
}

bool TakesValue(absl::string_view option) {
  return option == "-W" || option == "-X" || option == "--check-hash-based-pycs";
}

}  // namespace

absl::string_view BaseName(absl::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == absl::string_view::npos ? path : path.substr(slash + 1);
}

std::string NormalizePath(absl::string_view path) {
  const bool rooted = absl::StartsWith(path, "/");
  std::vector<absl::string_view> parts;
  for (absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (part == ".") continue;
    if (part == ".." && !parts.empty() && parts.back() != "..") {
      parts.pop_back();
    } else if (part != ".." || !rooted) {
      parts.push_back(part);
    }
  }
  return absl::StrCat(rooted ? "/" : "", absl::StrJoin(parts, "/"));
}

std::string ScriptOf(const std::vector<std::string>& command) {
  for (size_t i = 1; i < command.size(); ++i) {
    const absl::string_view argument = command[i];
    if (argument == "-") return "";
    if (!absl::StartsWith(argument, "-")) return command[i];
    if (argument == "--help" || argument == "--version") return "";
    if (TakesValue(argument)) {
      ++i;
    } else if (!absl::StartsWith(argument, "--")) {
      // Flags may be joined: -Ic "code". What follows c or m is not a script. X and W may hold
      // any letter behind them.
      const size_t end = argument.find_first_of("XW");
      if (argument.substr(0, end).find_first_of("cm") != absl::string_view::npos) return "";
    }
  }
  return "";
}

FileNames::Folders FileNames::FoldersOf(const Process& process) {
  Folders folders;
  // A working folder of "/" says nothing about where the program lives.
  if (process.working_dir != "/") folders.working = NormalizePath(process.working_dir);
  folders.script = folders.working;
  if (process.python.empty()) return folders;
  const std::string script = ScriptOf(process.command);
  if (script.empty()) {
    folders.inline_code = !process.command.empty();
    for (const std::string& argument : process.command) {
      if (argument == "-m") folders.inline_code = false;
    }
  } else {
    const std::string folder = FolderOf(Absolute(process.working_dir, script));
    if (!folder.empty() && folder != "/") folders.script = folder;
  }
  return folders;
}

FileNames::FileNames(const Profile& profile, std::vector<PathMapping> mappings)
    : profile_(profile), mappings_(std::move(mappings)) {
  bool found = false;
  for (const Process& process : profile.processes) {
    folders_.push_back(FoldersOf(process));
    if (!found && !process.python.empty()) {
      main_ = folders_.back();
      found = true;
    }
  }
  if (!found && !folders_.empty()) main_ = folders_[0];
}

const FileName& FileNames::Of(uint32_t process, StringId file) {
  auto [it, fresh] = by_id_.try_emplace(std::make_pair(process, file), nullptr);
  if (fresh) {
    const bool known = process < profile_.processes.size();
    names_.push_back(Resolve(known ? profile_.processes[process] : Process{},
                             known ? folders_[process] : Folders{}, profile_.string(file)));
    it->second = &names_.back();
  }
  return *it->second;
}

// Relative to the program's folders, if it lies there.
bool FileNames::Relate(const Folders& folders, FileName* name) const {
  const absl::string_view in_script = Below(folders.script, name->absolute);
  const absl::string_view in_working = Below(folders.working, name->absolute);
  if (in_script.empty() && in_working.empty()) return false;
  // The two folders may hold files of the same relative name: the mark keeps them apart.
  name->key = !in_script.empty() ? absl::StrCat("program:", in_script)
                                 : absl::StrCat("working:", in_working);
  name->shown = std::string(!in_working.empty() ? in_working : in_script);
  return true;
}

FileName FileNames::Resolve(const Process& process, const Folders& own,
                            const std::string& recorded) const {
  FileName name;
  name.recorded = name.absolute = name.key = name.shown = recorded;
  if (recorded.empty() || absl::StartsWith(recorded, "<")) {
    const bool typed = recorded == "<string>" || recorded == "<stdin>";
    if (typed && own.inline_code) name.origin = FileOrigin::kProgram;
    return name;
  }
  name.origin = FileOrigin::kProgram;
  name.absolute = Absolute(process.working_dir, recorded);
  for (const PathMapping& mapping : mappings_) {
    const std::string from = NormalizePath(mapping.first);
    const absl::string_view rest = Below(from, name.absolute);
    if (rest.empty()) continue;
    name.absolute = NormalizePath(absl::StrCat(mapping.second, "/", rest));
    break;
  }
  const absl::string_view path = name.absolute;
  size_t at = FindComponent(path, IsSitePackages);
  if (at != absl::string_view::npos) {
    name.origin = FileOrigin::kThirdParty;
    name.shown = std::string(path.substr(at));
    name.key = absl::StrCat("site-packages", path.substr(path.find('/', at)));
    return name;
  }
  at = FindComponent(path, IsStandardLibrary);
  if (at != absl::string_view::npos) {
    name.origin = FileOrigin::kStandardLibrary;
    name.shown = std::string(path.substr(at));
    name.key = absl::StrCat("python", path.substr(path.find('/', at)));
    return name;
  }
  at = FindComponent(path, IsOwnPackage);
  if (at != absl::string_view::npos) {
    name.origin = FileOrigin::kThirdParty;
    name.shown = std::string(path.substr(at));
    name.key = absl::StrCat("site-packages/", name.shown);
    return name;
  }
  if (!Relate(main_, &name) && !Relate(own, &name)) name.key = name.shown = name.absolute;
  return name;
}

}  // namespace memtrace
