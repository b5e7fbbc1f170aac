// What of a command line names the program, for MEMTRACE_NO_ARGS: the rest may hold secrets.

#ifndef MEMTRACE_INTERPOSE_COMMAND_LINE_H_
#define MEMTRACE_INTERPOSE_COMMAND_LINE_H_

#include <cstddef>

namespace memtrace {

// `arguments`: as in /proc/PID/cmdline, each ended by NUL. How many bytes of it the program's name
// takes: argv[0]; of Python also the script, or -m and the module, which is what the tool calls the
// program (ProgramName). Anything else that follows is left out: options, and code after -c.
size_t NameBytes(const char* arguments, size_t bytes);

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_COMMAND_LINE_H_
