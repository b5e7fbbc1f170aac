#include "interpose/command_line.h"

#include <string.h>

namespace memtrace {
namespace {

// Behind the argument that starts at `from`.
size_t ArgumentEnd(const char* arguments, size_t bytes, size_t from) {
  const size_t left = bytes - from;
  const size_t length = strnlen(arguments + from, left);
  return length < left ? from + length + 1 : bytes;
}

bool StartsWith(const char* text, const char* prefix) {
  return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool IsPython(const char* program) {
  const char* slash = strrchr(program, '/');
  const char* name = slash != nullptr ? slash + 1 : program;
  return StartsWith(name, "python") || StartsWith(name, "pypy");
}

}  // namespace

size_t NameBytes(const char* arguments, size_t bytes) {
  if (bytes == 0) return 0;
  const size_t program = ArgumentEnd(arguments, bytes, 0);
  // The last argument, or one that was cut off.
  if (program >= bytes || !IsPython(arguments)) return program;
  const char* next = arguments + program;
  const size_t second = ArgumentEnd(arguments, bytes, program);
  if (second - program == 3 && memcmp(next, "-m", 3) == 0) {
    return second < bytes ? ArgumentEnd(arguments, bytes, second) : program;
  }
  return *next != '-' && *next != 0 ? second : program;
}

}  // namespace memtrace
