// File names as recorded -> as matched and as shown.
//
// Role. Two runs of one program rarely agree on absolute paths: another checkout, another virtual
// environment, another Python. Every file name of a profile therefore gets
//   key    what two profiles are matched by: the path under the program's folder, under
//          site-packages (or dist-packages), or under the standard library; else the whole path;
//   shown  what a person reads: the same, in a form that can be found on disk;
//   origin whose code it is, which --own asks for.
//
// The program's folder is the script's folder for the key (so that checkouts match wherever they
// were started from), and for what is shown the working folder if the file lies under it (so that
// an editor or a CI annotation finds it). Every process of a profile uses the folders of the first
// Python program in it first, so that a module shared with a child is one file.
//
// Threading: none. References stay valid as long as the object.

#ifndef MEMTRACE_TOOLS_MODEL_FILE_NAMES_H_
#define MEMTRACE_TOOLS_MODEL_FILE_NAMES_H_

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "tools/model/profile.h"

namespace memtrace {

enum class FileOrigin {
  kProgram,          // what the user can change
  kThirdParty,       // site-packages, dist-packages
  kStandardLibrary,  // Python's own
  kSynthetic,        // "<frozen importlib._bootstrap>", "<string>", none
};

struct FileName {
  std::string recorded;
  std::string absolute;  // recorded, in its process's working folder; after --map
  std::string key;
  std::string shown;
  FileOrigin origin = FileOrigin::kSynthetic;
};

using PathMapping = std::pair<std::string, std::string>;  // OLD prefix, NEW prefix

class FileNames {
 public:
  FileNames(const Profile& profile, std::vector<PathMapping> mappings);

  const FileName& Of(uint32_t process, StringId file);

 private:
  struct Folders {
    std::string working;       // "" when unknown or "/"
    std::string script;        // folder of the script, else the working one
    bool inline_code = false;  // python -c, or from standard input
  };

  FileName Resolve(const Process& process, const Folders& own, const std::string& recorded) const;
  bool Relate(const Folders& folders, FileName* name) const;
  static Folders FoldersOf(const Process& process);

  const Profile& profile_;
  std::vector<PathMapping> mappings_;
  std::vector<Folders> folders_;  // by process
  Folders main_;
  std::deque<FileName> names_;
  absl::flat_hash_map<std::pair<uint32_t, StringId>, const FileName*> by_id_;
};

// The script that a Python command line runs, "" for -c, -m and standard input.
std::string ScriptOf(const std::vector<std::string>& command);

// "/a/./b/../c//d" -> "/a/c/d"; relative paths stay relative.
std::string NormalizePath(absl::string_view path);

// The part after the last '/'.
absl::string_view BaseName(absl::string_view path);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_MODEL_FILE_NAMES_H_
