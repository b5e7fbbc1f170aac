#define NAME second_allocates
#include "libfirst.c"
