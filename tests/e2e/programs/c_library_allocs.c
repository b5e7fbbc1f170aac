/* Blocks that the C library allocates for the caller: the site is a function of libc. */
#include "known.h"

int main(void) {
  static char text[200];
  char* kept[64];
  long long strdup_bytes = 0, strndup_bytes = 0, line_bytes = 0, printed_bytes = 0;
  memset(text, 'x', sizeof text - 1);
  for (int i = 0; i < 64; i++) {
    kept[i] = strdup(text + i);
    strdup_bytes += (long long)strlen(kept[i]) + 1;
    char* part = strndup(text, (size_t)i);
    strndup_bytes += i + 1;
    free(part);
  }
  for (int i = 0; i < 32; i++) free(kept[i]);

  /* getline's first buffer holds 120 bytes: what glibc asks for, and enough for these lines. */
  int ends[2];
  if (pipe(ends) != 0 || write(ends[1], "one\ntwo\n", 8) != 8) abort();
  close(ends[1]);
  static char buffer[64];
  FILE* in = fdopen(ends[0], "r");
  setvbuf(in, buffer, _IOFBF, sizeof buffer);
  char* line = NULL;
  size_t room = 0;
  while (getline(&line, &room, in) > 0) line_bytes = (long long)room;

  char* printed = NULL;
  for (int i = 0; i < 40; i++) {
    if (asprintf(&printed, "%d:%.*s", i, i, text) < 0) abort();
    printed_bytes += (long long)strlen(printed) + 1;
  }
  KNOWN_PRINT(
      "READY{\"pid\":%d,\"strdup\":[64,%lld,32],\"strndup\":[64,%lld,0],"
      "\"getline\":%lld,\"asprintf\":[40,%lld]}\n",
      (int)getpid(), strdup_bytes, strndup_bytes, line_bytes, printed_bytes);
  known_write(known_text, known_text_used);
  known_wait();
  return 0;
}
