// The command line tool. Everything is in app.cc, so that tests can link it.

#include "tools/cli/app.h"

int main(int argc, char** argv) { return memtrace::RunApp(argc, argv); }
