// What went wrong in a call of memtrace.h or inspect.h: an errno value, and a sentence for
// memtrace_last_error().

#ifndef MEMTRACE_INTERPOSE_API_ERROR_H_
#define MEMTRACE_INTERPOSE_API_ERROR_H_

namespace memtrace {

void ClearError();
// format has one %s, for `what`.
int Fail(int error, const char* format, const char* what);
int NotTracing();

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_API_ERROR_H_
