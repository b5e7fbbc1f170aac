#include "tools/cli/python_package.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/cli/capture.h"
#include "tools/cli/library_path.h"

namespace memtrace {
namespace {

std::string FolderOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

bool IsPackage(const std::string& folder) {
  return access((folder + "/_command.py").c_str(), R_OK) == 0;
}

std::string Absolute(const std::string& path) {
  char resolved[PATH_MAX];
  return realpath(path.c_str(), resolved) != nullptr ? resolved : path;
}

// -------------------------------------------------------------------------------------------------
// Words of a Python program

bool IsPython(const std::string& program) {
  absl::string_view name = absl::string_view(program).substr(program.rfind('/') + 1);
  if (!absl::StartsWith(name, "python")) return false;
  return name.find_first_not_of("0123456789.dt", 6) == absl::string_view::npos;
}

// The value of -X tracemalloc=VALUE; false: another option.
bool IsTracemalloc(absl::string_view option, std::string* value) {
  if (option == "tracemalloc") {
    *value = "1";
    return true;
  }
  if (!absl::StartsWith(option, "tracemalloc=")) return false;
  *value = std::string(option.substr(12));
  return true;
}

// -------------------------------------------------------------------------------------------------
// Interpreters

bool IsScript(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char start[2] = {};
  return file.read(start, 2) && start[0] == '#' && start[1] == '!';
}

// Version managers put scripts in the interpreters' place, which start dozens of processes: those
// should not run under memtrace.
std::string Itself(const std::string& python) {
  if (!IsScript(python)) return python;
  const Captured told = Capture({python, "-c", "import sys; print(sys.executable)"}, {});
  const std::string path(absl::StripAsciiWhitespace(told.standard));
  return told.status == 0 && access(path.c_str(), X_OK) == 0 ? path : python;
}

}  // namespace

absl::StatusOr<std::string> FindPackage() {
  const std::string folder = FolderOf(ToolPath());
  std::vector<std::string> places = {folder + "/python/memtrace",
                                     folder + "/../share/memtrace/python/memtrace"};
  const absl::StatusOr<std::string> library = FindLibrary();
  if (library.ok()) places.push_back(FolderOf(*library));
  for (const std::string& place : places) {
    if (IsPackage(place)) return Absolute(place);
  }
  return absl::NotFoundError(
      absl::StrCat("the Python package of memtrace is neither beside ", ToolPath(),
                   " nor where it would be installed; install memtrace as a whole"));
}

std::string PythonPath(const std::string& package, const std::vector<std::string>& stand_ins) {
  std::vector<std::string> folders;
  for (const std::string& name : stand_ins) {
    folders.push_back(absl::StrCat(package, "/_instead/", name));
  }
  const char* present = std::getenv("PYTHONPATH");
  if (present != nullptr && *present != '\0') folders.push_back(present);
  folders.push_back(package + "/_instead/memtrace");
  return absl::StrJoin(folders, ":");
}

// As CPython reads them: letters may be joined, X and W take the rest of their word or the next
// one, c and m end the options.
std::string TakeTracemallocOption(std::vector<std::string>* program) {
  std::string found;
  if (program->empty() || !IsPython((*program)[0])) return found;
  for (size_t i = 1; i < program->size(); ++i) {
    std::string& word = (*program)[i];
    if (word.size() < 2 || word[0] != '-') return found;  // the script
    if (absl::StartsWith(word, "--")) {
      if (word == "--check-hash-based-pycs") ++i;
      continue;
    }
    const size_t letter = word.find_first_of("cmWX", 1);
    if (letter == std::string::npos) continue;
    if (word[letter] == 'c' || word[letter] == 'm') return found;
    const bool joined = letter + 1 < word.size();
    if (!joined && i + 1 == program->size()) return found;
    const std::string option = joined ? word.substr(letter + 1) : (*program)[i + 1];
    if (word[letter] == 'W' || !IsTracemalloc(option, &found)) {
      if (!joined) ++i;
      continue;
    }
    const auto at = program->begin() + static_cast<std::ptrdiff_t>(i);
    if (!joined) program->erase(at + 1);
    if (letter > 1) {
      word.resize(letter);
    } else {
      program->erase(at);
      --i;
    }
  }
  return found;
}

absl::StatusOr<std::string> FindPython() {
  bool denied = false;
  if (const char* set = std::getenv("MEMTRACE_PYTHON"); set != nullptr && *set != '\0') {
    const std::string python = FindProgram(set, &denied);
    if (!python.empty()) return Itself(python);
    return absl::NotFoundError(
        absl::StrCat(set, ": no program that can be executed; MEMTRACE_PYTHON must name a Python"));
  }
  const std::string beside = FolderOf(ToolPath());
  for (const std::string& name :
       {std::string("python3"), std::string("python"), beside + "/python3", beside + "/python"}) {
    const std::string python = FindProgram(name, &denied);
    if (!python.empty()) return Itself(python);
  }
  return absl::NotFoundError(
      "there is no python3 on PATH, and this command needs one; install Python, or set "
      "MEMTRACE_PYTHON to an interpreter");
}

}  // namespace memtrace
