// What a plug-in is given: it tells the host of its own functions.

#ifndef MEMTRACE_TESTS_E2E_UNWIND_PLUGIN_H_
#define MEMTRACE_TESTS_E2E_UNWIND_PLUGIN_H_

struct PluginHost {
  void (*enter)(const char* name);
  void (*leave)();
  void (*allocate)();
};

#endif  // MEMTRACE_TESTS_E2E_UNWIND_PLUGIN_H_
