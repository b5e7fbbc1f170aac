// What `memtrace doctor` looks at. Each check tries the thing itself where it can: the library is
// really preloaded, a region really written and read back, a Python really traced.
#ifndef MEMTRACE_TOOLS_CLI_DOCTOR_CHECKS_H_
#define MEMTRACE_TOOLS_CLI_DOCTOR_CHECKS_H_

#include <string>
#include <vector>

namespace memtrace {

enum class Verdict { kOk, kWarn, kFail };

struct Finding {
  Verdict verdict = Verdict::kOk;
  std::string subject;  // one word or two
  std::string what;     // what was found
  std::string advice;   // what to do; "" when all is well
};

// All checks, in the order in which they matter. kFail: memtrace cannot work until it is mended.
std::vector<Finding> RunDoctor();

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_DOCTOR_CHECKS_H_
