/* A program that opens a Python library while it runs, as it is told to:
 *
 *   embed_python COMMAND...
 *     local|global|deep PATH  opens a library, RTLD_LOCAL, RTLD_GLOBAL or RTLD_LOCAL|RTLD_DEEPBIND
 *     init, finalize          starts and ends the interpreter of the library opened last
 *     run CODE                runs Python code in it
 *     close                   closes the library
 *     setenv NAME VALUE
 *     threads N               starts N threads that allocate until the end
 *     touch                   makes the library allocate before it is initialised
 *     attached                starts a thread that has a state in the interpreter, and allocates in
 * C until the end worker COMMAND          does that in a thread that was there, and had allocated,
 * from the start
 *
 * Linked with no Python: any version will do. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
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
  for (unsigned i = 0;; i++) {
    free(malloc(i % 700));
    if (i % 1000 == 0) usleep(100); /* others want to work as well */
  }
  return NULL;
}

static void start_threads(int count) {
  for (int i = 0; i < count; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, allocates, NULL) != 0) exit(6);
  }
}

static void* allocates_attached(void* started) {
  ((int (*)(void))function("PyGILState_Ensure"))();
  ((void* (*)(void))function("PyEval_SaveThread"))();
  sem_post(started);
  return allocates(NULL);
}

static void start_attached(void) {
  /* Lets it have the lock. */
  void* state = ((void* (*)(void))function("PyEval_SaveThread"))();
  pthread_t thread;
  sem_t started;
  sem_init(&started, 0, 0);
  if (pthread_create(&thread, NULL, allocates_attached, &started) != 0) exit(6);
  sem_wait(&started);
  ((void (*)(void*))function("PyEval_RestoreThread"))(state);
}

/* The first allocation is the library's own: its caller tells that it is there. */
static void touch(void) {
  void* text = ((void* (*)(const char*, size_t*))function("Py_DecodeLocale"))("text", NULL);
  ((void (*)(void*))function("PyMem_RawFree"))(text);
}

static char** obey(char** next);

static struct {
  sem_t told, done;
  char** next;
} g_worker;

static void* work(void* unused) {
  free(malloc(100));
  for (;;) {
    sem_post(&g_worker.done);
    sem_wait(&g_worker.told);
    g_worker.next = obey(g_worker.next);
  }
  return unused;
}

static void start_worker(void) {
  pthread_t thread;
  sem_init(&g_worker.told, 0, 0);
  sem_init(&g_worker.done, 0, 0);
  if (pthread_create(&thread, NULL, work, NULL) != 0) exit(6);
  sem_wait(&g_worker.done);
}

static char** tell_worker(char** next) {
  g_worker.next = next;
  sem_post(&g_worker.told);
  sem_wait(&g_worker.done);
  return g_worker.next;
}

/* Does one command; returns its last word. */
static char** obey(char** next) {
  const char* command = *next;
  if (strcmp(command, "local") == 0) {
    open_library(*++next, RTLD_LOCAL);
  } else if (strcmp(command, "global") == 0) {
    open_library(*++next, RTLD_GLOBAL);
  } else if (strcmp(command, "deep") == 0) {
    open_library(*++next, RTLD_LOCAL | RTLD_DEEPBIND);
  } else if (strcmp(command, "init") == 0) {
    initialize();
  } else if (strcmp(command, "finalize") == 0) {
    finalize();
  } else if (strcmp(command, "run") == 0) {
    run(*++next);
  } else if (strcmp(command, "close") == 0) {
    if (dlclose(g_library) != 0) exit(7);
  } else if (strcmp(command, "setenv") == 0) {
    setenv(next[1], next[2], 1);
    next += 2;
  } else if (strcmp(command, "threads") == 0) {
    start_threads(atoi(*++next));
  } else if (strcmp(command, "touch") == 0) {
    touch();
  } else if (strcmp(command, "attached") == 0) {
    start_attached();
  } else if (strcmp(command, "worker") == 0) {
    next = tell_worker(next + 1);
  } else {
    fprintf(stderr, "embed_python: what is %s?\n", command);
    exit(64);
  }
  return next;
}

int main(int argc, char** argv) {
  alarm(120);
  start_worker();
  for (char** next = argv + 1; argc > 1 && *next; next++) next = obey(next);
  return 0;
}
