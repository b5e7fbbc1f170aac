/* memtrace in a program: a picture of this process's own memory.
 *
 * The functions live in libmemtrace.so. A program need not link it: declared weak, they are null
 * unless the library is preloaded, so call them behind `if (memtrace_is_tracing)`, or use
 * MEMTRACE_CALL below.
 *
 * Threading: every function may be called from any thread, but not from a signal handler.
 * Errors: the functions return 0, or an errno value; memtrace_last_error() tells in words.
 */
#ifndef MEMTRACE_H_
#define MEMTRACE_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && !defined(MEMTRACE_BUILDING_LIBRARY)
#define MEMTRACE_API __attribute__((weak))
#elif defined(__GNUC__)
#define MEMTRACE_API __attribute__((visibility("default")))
#else
#define MEMTRACE_API
#endif

/* 1 while this process is being traced, 0 otherwise. */
MEMTRACE_API int memtrace_is_tracing(void);

/* Bytes in blocks that are live now; highest ever (or since the last reset). Both count what the
 * program asked for, over all threads and domains. -1: not tracing. */
MEMTRACE_API int64_t memtrace_current_bytes(void);
MEMTRACE_API int64_t memtrace_peak_bytes(void);

/* Blocks that are live now; -1: not tracing. */
MEMTRACE_API int64_t memtrace_current_blocks(void);

/* Makes the present total the peak. */
MEMTRACE_API int memtrace_reset_peak(void);

/* Writes a snapshot file, whole or not at all. Starts the `memtrace` tool beside the library and
 * waits for it (some 50 ms): the figures are those of the moment of the call for this thread. An
 * existing file is replaced. */
MEMTRACE_API int memtrace_snapshot(const char* path);

/* What went wrong in this thread's last call, in English; "" if nothing. */
MEMTRACE_API const char* memtrace_last_error(void);

/* Path of this process's live region, "" when there is none. */
MEMTRACE_API const char* memtrace_region_path(void);

/* "major.minor.patch" of the library. */
MEMTRACE_API const char* memtrace_version(void);

#define MEMTRACE_CALL(function, ...) (memtrace_is_tracing ? function(__VA_ARGS__) : 0)

#ifdef __cplusplus
}
#endif
#endif /* MEMTRACE_H_ */
