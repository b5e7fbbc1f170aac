/* Says whether an error of the dynamic linker is pending that this program did not make. */
#include <dlfcn.h>
#include <stdio.h>

int main(void) {
  const char* error = dlerror();
  printf("%s\n", error ? error : "clean");
  return 0;
}
