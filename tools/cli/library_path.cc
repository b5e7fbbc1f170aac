#include "tools/cli/library_path.h"

#include <elf.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace memtrace {
namespace {

bool IsFile(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

std::string Absolute(const std::string& path) {
  char resolved[PATH_MAX];
  return realpath(path.c_str(), resolved) != nullptr ? resolved : path;
}

// The first file that the pattern matches, or "".
std::string FirstMatch(const std::string& pattern) {
  glob_t found = {};
  std::string first;
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0 && found.gl_pathc > 0) {
    first = found.gl_pathv[0];
  }
  globfree(&found);
  return first;
}

std::string ReadStart(const std::string& path, size_t bytes) {
  std::string content(bytes, '\0');
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return "";
  const ssize_t n = pread(fd, content.data(), bytes, 0);
  close(fd);
  content.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return content;
}

uint16_t OwnMachine() {
#if defined(__x86_64__)
  return EM_X86_64;
#elif defined(__aarch64__)
  return EM_AARCH64;
#else
  return EM_NONE;
#endif
}

// What the program headers say; `content` is the start of the file, which holds them as a rule.
std::string WhyUntraceableElf(const std::string& content) {
  Elf64_Ehdr header;
  if (content.size() < sizeof(header)) return "";
  std::memcpy(&header, content.data(), sizeof(header));
  if (header.e_ident[EI_CLASS] == ELFCLASS32) {
    return "it is a 32-bit program, and this memtrace is made for 64-bit ones";
  }
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != OwnMachine()) {
    return "it is made for another kind of processor than this memtrace";
  }
  if (header.e_phentsize != sizeof(Elf64_Phdr)) return "";
  std::string loader;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    const uint64_t at = header.e_phoff + uint64_t{i} * sizeof(segment);
    if (at > content.size() || content.size() - at < sizeof(segment)) return "";
    std::memcpy(&segment, content.data() + at, sizeof(segment));
    if (segment.p_type != PT_INTERP) continue;
    if (segment.p_offset >= content.size()) return "";
    loader = content.c_str() + segment.p_offset;
  }
  if (loader.empty()) return "it is statically linked, so that no library can be preloaded into it";
  if (absl::StrContains(loader, "ld-musl")) {
    return "it uses the C library musl, and this memtrace is made for glibc";
  }
  return "";
}

// The kernel makes the loader ignore LD_PRELOAD when a program gains rights.
std::string WhyUntraceableRights(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return "";
  if ((info.st_mode & S_ISUID) != 0 && info.st_uid != geteuid()) {
    return "it is setuid, and the system keeps preloaded libraries out of such programs";
  }
  if ((info.st_mode & S_ISGID) != 0 && info.st_gid != getegid()) {
    return "it is setgid, and the system keeps preloaded libraries out of such programs";
  }
  if (geteuid() != 0 && getxattr(path.c_str(), "security.capability", nullptr, 0) > 0) {
    return "it has file capabilities, and the system keeps preloaded libraries out of such "
           "programs";
  }
  return "";
}

}  // namespace

std::string ToolPath() {
  char path[PATH_MAX];
  const ssize_t bytes = readlink("/proc/self/exe", path, sizeof(path));
  return bytes > 0 ? std::string(path, static_cast<size_t>(bytes)) : "";
}

absl::StatusOr<std::string> FindLibrary() {
  if (const char* set = getenv("MEMTRACE_LIBRARY"); set != nullptr && *set != '\0') {
    if (IsFile(set)) return Absolute(set);
    return absl::NotFoundError(
        absl::StrCat(set, ": there is no such file; MEMTRACE_LIBRARY must name libmemtrace.so"));
  }
  const std::string tool = ToolPath();
  const std::string folder = tool.substr(0, tool.rfind('/'));
  // Build tree, install trees, Python packages: of this very version first, as several Pythons may
  // share a folder for their commands.
  const std::vector<std::string> places = {
      "/libmemtrace.so",
      "/../lib/memtrace/libmemtrace.so",
      "/../lib64/memtrace/libmemtrace.so",
      "/../lib/*/memtrace/libmemtrace.so",
      "/../lib/libmemtrace.so",
      "/../lib*/python*/*-packages/memtrace_profiler-" MEMTRACE_VERSION
      ".dist-info/../memtrace/libmemtrace.so",
      "/../lib*/python*/*-packages/memtrace/libmemtrace.so",
      "/../memtrace/libmemtrace.so"};
  for (const std::string& place : places) {
    const std::string found = FirstMatch(folder + place);
    if (!found.empty() && IsFile(found)) return Absolute(found);
  }
  return absl::NotFoundError(absl::StrCat(
      "libmemtrace.so is neither beside ", tool,
      " nor in the lib folder next to it; install memtrace as a whole, or set MEMTRACE_LIBRARY"));
}

std::string FindProgram(const std::string& name, bool* denied) {
  *denied = false;
  const auto usable = [denied](const std::string& path) {
    if (!IsFile(path)) return false;
    if (access(path.c_str(), X_OK) == 0) return true;
    *denied = true;
    return false;
  };
  if (absl::StrContains(name, '/')) {
    struct stat info;
    if (usable(name)) return name;
    *denied = stat(name.c_str(), &info) == 0;
    return "";
  }
  const char* path = getenv("PATH");
  for (absl::string_view folder : absl::StrSplit(path != nullptr ? path : "/usr/bin:/bin", ':')) {
    const std::string candidate = absl::StrCat(folder.empty() ? "." : folder, "/", name);
    if (usable(candidate)) {
      *denied = false;
      return candidate;
    }
  }
  return "";
}

std::string WhyUntraceable(const std::string& executable) {
  std::string path = executable;
  for (int depth = 0; depth < 4; ++depth) {
    std::string why = depth == 0 ? WhyUntraceableRights(path) : "";
    if (!why.empty()) return why;
    const std::string content = ReadStart(path, 16384);
    if (absl::StartsWith(content, "\177ELF")) return WhyUntraceableElf(content);
    if (!absl::StartsWith(content, "#!")) return "";
    absl::string_view line = absl::string_view(content).substr(2, content.find('\n') - 2);
    line = absl::StripLeadingAsciiWhitespace(line);
    path = std::string(line.substr(0, line.find_first_of(" \t")));
  }
  return "";
}

}  // namespace memtrace
