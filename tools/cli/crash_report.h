// memtrace's report of a crash of its own.
//
// When the tool itself fails by SIGSEGV, SIGBUS, SIGABRT, SIGFPE or SIGILL, a file with the stack
// is written to the folder for temporary files, one line on stderr says where it is, and the tool
// dies of the signal as it would have. Nothing is sent anywhere. The traced program is not
// concerned.
#ifndef MEMTRACE_TOOLS_CLI_CRASH_REPORT_H_
#define MEMTRACE_TOOLS_CLI_CRASH_REPORT_H_

namespace memtrace {

// To be called once, at the start of main().
void InstallCrashReport();

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_CRASH_REPORT_H_
