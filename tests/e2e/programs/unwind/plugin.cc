// One of two libraries that are as alike as can be. Their code differs in the size of a frame
// alone: the same return addresses, other names, other places of what is saved.

#include "plugin.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define NAMED(name) JOIN(name, PLUGIN)
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

extern "C" {
__attribute__((noinline)) void NAMED(Inside)(const PluginHost* host) {
  host->enter(TEXT(NAMED(Inside)));
  char room[PLUGIN * 256];
  asm volatile("" ::"r"(room) : "memory");
  host->allocate();
  host->leave();
}

__attribute__((visibility("default"))) void Enter(const PluginHost* host) {
  host->enter("Enter");
  NAMED(Inside)(host);
  host->leave();
}
}
