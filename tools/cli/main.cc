// The command line tool. Everything is in app.cc, so that tests can link it.

#include "tools/cli/app.h"
#include "tools/cli/crash_report.h"

int main(int argc, char** argv) {
  memtrace::InstallCrashReport();
  return memtrace::RunApp(argc, argv);
}
