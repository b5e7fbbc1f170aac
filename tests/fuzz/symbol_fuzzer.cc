// libFuzzer target: any bytes as the module that a region names: names for its code or none. The
// bytes are tried as a mangled name, too.

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "tools/read/inline_frames.h"
#include "tools/read/section_view.h"
#include "tools/read/symbolize.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const int fd = memfd_create("fuzz", 0);
  if (ftruncate(fd, 0) != 0 || pwrite(fd, bytes, size, 0) != static_cast<ssize_t>(size)) return 0;
  memtrace::Module module;
  module.path = "/proc/self/fd/" + std::to_string(fd);
  const auto symbolizer = memtrace::MakeSymbolizer({}, absl::Milliseconds(500));
  // The seed's code is there: dense enough to meet each of its functions and inlined calls.
  for (uint64_t address = 0x1001; address < 0x1200; address += 5) {
    const memtrace::NativeFrames frames = symbolizer->Resolve(module, address);
    if (frames.empty() || frames.size() > memtrace::kMostInlined + 1) __builtin_trap();
    for (const memtrace::NativeSymbol& symbol : frames) {
      if (memtrace::ValidUtf8(symbol.function) != symbol.function) __builtin_trap();
      if (memtrace::ValidUtf8(symbol.file) != symbol.file || symbol.line < 0) __builtin_trap();
    }
  }
  if (size <= 300) memtrace::Demangle({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
