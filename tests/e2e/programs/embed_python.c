/* A program that opens a Python library while it runs, as it is told to:
 *
 *   embed_python COMMAND...
 *     local|global|deep PATH  opens a library, RTLD_LOCAL, RTLD_GLOBAL or RTLD_LOCAL|RTLD_DEEPBIND
 *     init, finalize          starts and ends the interpreter of the library opened last
 *     run CODE                runs Python code in it
 *     close                   closes the library
 *     setenv NAME VALUE
 *     threads N               starts N threads that allocate until the end
 *     elsewhere COMMAND...    the rest is done by another thread
 *
 * Linked with no Python: any version will do. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void* g_library;

static void* function(const char* name) {
  void* found = dlsym(g_library, name);
  if (!found) {
    fprintf(stderr, "%s is not there: %s\n", name, dlerror());
    exit(3);
  }
  return found;
}

static void open_library(const char* path, int flags) {
  g_library = dlopen(path, RTLD_NOW | flags);
  if (g_library) return;
  fprintf(stderr, "%s\n", dlerror());
  exit(2);
}

static void initialize(void) {
  /* Without handlers of signals: those of the program stay. */
  ((void (*)(int))function("Py_InitializeEx"))(0);
}

static void finalize(void) {
  if (((int (*)(void))function("Py_FinalizeEx"))() == 0) return;
  fprintf(stderr, "Py_FinalizeEx failed\n");
  exit(4);
}

static void run(const char* code) {
  if (((int (*)(const char*))function("PyRun_SimpleString"))(code) != 0) exit(5);
}

static void* allocates(void* unused) {
  (void)unused;
  for (unsigned i = 0;; i++) free(malloc(i % 700));
  return NULL;
}

static void start_threads(int count) {
  for (int i = 0; i < count; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, allocates, NULL) != 0) exit(6);
  }
}

static void* obey(void* arguments) {
  for (char** next = arguments; *next; next++) {
    if (strcmp(*next, "local") == 0) {
      open_library(*++next, RTLD_LOCAL);
    } else if (strcmp(*next, "global") == 0) {
      open_library(*++next, RTLD_GLOBAL);
    } else if (strcmp(*next, "deep") == 0) {
      open_library(*++next, RTLD_LOCAL | RTLD_DEEPBIND);
    } else if (strcmp(*next, "init") == 0) {
      initialize();
    } else if (strcmp(*next, "finalize") == 0) {
      finalize();
    } else if (strcmp(*next, "run") == 0) {
      run(*++next);
    } else if (strcmp(*next, "close") == 0) {
      if (dlclose(g_library) != 0) exit(7);
    } else if (strcmp(*next, "setenv") == 0) {
      setenv(next[1], next[2], 1);
      next += 2;
    } else if (strcmp(*next, "threads") == 0) {
      start_threads(atoi(*++next));
    } else if (strcmp(*next, "elsewhere") == 0) {
      pthread_t thread;
      if (pthread_create(&thread, NULL, obey, next + 1) != 0) exit(6);
      pthread_join(thread, NULL);
      return NULL;
    } else {
      fprintf(stderr, "embed_python: what is %s?\n", *next);
      exit(64);
    }
  }
  return NULL;
}

int main(int argc, char** argv) {
  alarm(120);
  obey(argv + (argc > 0));
  return 0;
}
