// Demangling of C++ (Itanium) and Rust (legacy and v0) names.

#include <cxxabi.h>

#include <cctype>
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "tools/read/rust_symbol.h"
#include "tools/read/symbolize.h"

namespace memtrace {
namespace {

// Longer ones are left as they are: back-references can make the text grow without bound.
constexpr size_t kMaxMangledBytes = 4096;
constexpr size_t kMaxNameBytes = 8192;

// "::h" and 16 hex digits at the end of a legacy Rust name: different in each build.
bool HasRustHash(absl::string_view name) {
  constexpr size_t kHashBytes = 19;
  if (name.size() <= kHashBytes) return false;
  absl::string_view hash = name.substr(name.size() - kHashBytes);
  if (!absl::ConsumePrefix(&hash, "::h")) return false;
  for (char c : hash) {
    if (!isxdigit(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

// Legacy Rust writes punctuation as $LT$ and the like, and "::" inside a path as "..".
std::string UndoRustEscapes(absl::string_view name) {
  static constexpr std::pair<absl::string_view, absl::string_view> kEscapes[] = {
      {"$LT$", "<"},  {"$GT$", ">"},  {"$RF$", "&"},   {"$BP$", "*"},  {"$C$", ","},
      {"$SP$", "@"},  {"$LP$", "("},  {"$RP$", ")"},   {"$u20$", " "}, {"$u27$", "'"},
      {"$u5b$", "["}, {"$u5d$", "]"}, {"$u7b$", "{"},  {"$u7d$", "}"}, {"$u7e$", "~"},
      {"$u3b$", ";"}, {"$u2b$", "+"}, {"$u22$", "\""}, {"..", "::"},
  };
  std::string plain;
  while (!name.empty()) {
    // A component that begins with an escape is written with an underscore before it.
    if (absl::StartsWith(name, "_$") && (plain.empty() || absl::EndsWith(plain, "::"))) {
      name.remove_prefix(1);
    }
    bool escaped = false;
    for (const auto& [escape, text] : kEscapes) {
      if (absl::ConsumePrefix(&name, escape)) {
        plain.append(text.data(), text.size());
        escaped = true;
        break;
      }
    }
    if (!escaped) {
      plain.push_back(name.front());
      name.remove_prefix(1);
    }
  }
  return plain;
}

}  // namespace

std::string Demangle(absl::string_view symbol) {
  if (symbol.size() > kMaxMangledBytes) return std::string(symbol);
  if (absl::StartsWith(symbol, "_R")) {
    std::string name = DemangleRustV0(symbol);
    return name.empty() ? std::string(symbol) : name;
  }
  if (!absl::StartsWith(symbol, "_Z")) return std::string(symbol);
  int status = 0;
  std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(std::string(symbol).c_str(), nullptr, nullptr, &status), std::free);
  if (status != 0 || text == nullptr) return std::string(symbol);
  absl::string_view name = text.get();
  if (name.size() > kMaxNameBytes) return std::string(symbol);
  if (HasRustHash(name)) return UndoRustEscapes(name.substr(0, name.size() - 19));
  return std::string(name);
}

}  // namespace memtrace
