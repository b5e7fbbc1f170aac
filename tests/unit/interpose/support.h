// What the recorder's tests share.
//
// The recorder starts itself in a process that links it. Here it does so only where a test asks for
// it by MEMTRACE_ISOLATED: the test then runs once more in a process of its own, with a region
// folder of its own, and its assertions count there. Everywhere else MEMTRACE_DISABLE is set before
// the recorder's constructor can run, and tests make the objects that they need.
//
// No hook of libc is linked: nothing is recorded but what a test drives through the frame that the
// hooks use (interpose/hooks.h), on a heap of made-up addresses that nobody touches.

#ifndef MEMTRACE_TESTS_UNIT_INTERPOSE_SUPPORT_H_
#define MEMTRACE_TESTS_UNIT_INTERPOSE_SUPPORT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/layout.h"

namespace memtrace::testing {

#if defined(__SANITIZE_THREAD__)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif
// Sanitizers need far more address space than any limit would leave.
inline constexpr bool kSanitized = kThreadSanitizer || kAddressSanitizer;

bool InIsolation();
// Runs the present test in a process of its own; `prepare` runs there before the recorder starts
// and returns false to fail.
void RunIsolated(const std::function<bool()>& prepare);

// First statement of a test. Optionally with a function for the process to be.
#define MEMTRACE_ISOLATED(...)                         \
  do {                                                 \
    if (!::memtrace::testing::InIsolation()) {         \
      ::memtrace::testing::RunIsolated({__VA_ARGS__}); \
      return;                                          \
    }                                                  \
  } while (false)

// A folder of mode 0700 that is removed with its files.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Addresses of blocks that do not exist: 128 bytes apart, none mapped, reused in random order.
class MadeUpHeap {
 public:
  explicit MadeUpHeap(int number = 0)
      : next_((uint64_t{0x200} + static_cast<uint64_t>(number)) << 36) {}

  void* Take(uint64_t random);
  void Give(void* p) { free_.push_back(p); }

 private:
  uint64_t next_;
  std::vector<void*> free_;
};

// Where an allocation comes from, as the tests name it: a domain and a made-up return address.
using Place = std::pair<Domain, uint64_t>;

// Figures of one place, over all threads. The live ones are without what was inherited.
struct Figures {
  int64_t alloc_objects = 0, alloc_bytes = 0;
  int64_t free_objects = 0, free_bytes = 0;
  int64_t temporary_objects = 0, temporary_bytes = 0;
  int64_t peak_objects = 0, peak_bytes = 0;
  int64_t inherited_objects = 0, inherited_bytes = 0;

  int64_t live_objects() const { return inherited_objects + alloc_objects - free_objects; }
  int64_t live_bytes() const { return inherited_bytes + alloc_bytes - free_bytes; }
  bool operator==(const Figures&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Figures& f);

// What this process's region says. While nobody else records.
std::map<Place, Figures> RegionFigures();
int64_t RegionTotal();  // from the header and the threads' unflushed bytes
int64_t RegionPeak();
uint64_t Lost();  // events, all reasons
uint64_t LostBytes();

}  // namespace memtrace::testing

#endif  // MEMTRACE_TESTS_UNIT_INTERPOSE_SUPPORT_H_
