#define ONLY_SOME
#include "own_new.cc"
