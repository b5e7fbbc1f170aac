/* What a tool inside the process may ask the recorder: which blocks are alive and where they come
 * from, what one thread allocates meanwhile, and which allocations are the tool's own.
 *
 * The Python package is made of it (tools/python). Unlike memtrace.h it belongs to one version of
 * the library: ask memtrace_version() first.
 *
 * Threading: any thread, but not from a signal handler. Functions about "this thread" concern the
 * calling one alone. Those that read blocks see other threads' events of that moment, or not; who
 * holds Python's global lock (ctypes.PyDLL) sees every block of Python's domains as it is.
 * Errors: int results are 0 or an errno value, with memtrace_last_error() in words.
 */
#ifndef MEMTRACE_INSPECT_H_
#define MEMTRACE_INSPECT_H_

#include <stdint.h>

#include "interpose/memtrace.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -------------------------------------------------------------------------------------------------
 * Recording. A library that is loaded late (dlopen) records from then on what Python's allocators
 * do; what was allocated before, and what calls malloc by itself, it does not see.
 */

/* 1: the library was there before the program, and sees malloc, too. */
MEMTRACE_API int memtrace_sees_malloc(void);

/* Stops and goes on: while stopped, allocations of all threads are not recorded; frees are. A block
 * that is resized meanwhile stays recorded if it was. */
MEMTRACE_API int memtrace_stop(void);
MEMTRACE_API int memtrace_start(void);

/* What this thread allocates between the two is the tool's own and not recorded. They nest. */
MEMTRACE_API void memtrace_pause(void);
MEMTRACE_API void memtrace_resume(void);

/* Live bytes of all threads and domains, in O(threads); the same as memtrace_current_bytes(), which
 * adds up the sites. -1: not tracing. */
MEMTRACE_API int64_t memtrace_total_bytes(void);

/* -------------------------------------------------------------------------------------------------
 * A thread's own events. Frees count for the thread that frees, whoever allocated the block.
 */

typedef struct {
  int64_t allocated_bytes; /* since the meter was started */
  int64_t freed_bytes;     /* net = allocated - freed, may be below zero */
  int64_t allocated_blocks;
  int64_t freed_blocks;
  int64_t peak_bytes; /* highest net; may be set to the present net by its thread, to begin anew */
  /* Freed between memtrace_pause() and memtrace_resume(), by resizing, too: in no other figure. */
  int64_t paused_bytes;
} memtrace_meter;

/* Counts this thread's events from now on, and gives the place where: it stays valid, and for this
 * thread to read, until the thread ends. While it counts, each event of the thread takes some 20 ns
 * more. Starts nest: the last stop ends the counting. NULL: not tracing. */
MEMTRACE_API memtrace_meter* memtrace_meter_start(void);
MEMTRACE_API void memtrace_meter_stop(void);

/* -------------------------------------------------------------------------------------------------
 * Age. A generation begins: blocks allocated from now on can be told from those that are there.
 * Returns its first site, to be given to the functions below; 0 is the beginning of all. -1: not
 * tracing. Each one makes the sites in use anew (some 60 bytes each): for use by people, not in
 * loops.
 */
MEMTRACE_API int64_t memtrace_new_generation(void);

/* Which of tracemalloc's domains a block would be in (memtrace_site.tracked). */
enum {
  MEMTRACE_UNTRACKED = -1,     /* malloc by other libraries: tracemalloc does not see it */
  MEMTRACE_TRACKED_PYTHON = 0, /* Python's allocators, the raw one included */
  MEMTRACE_TRACKED_NUMPY = 389047,
  MEMTRACE_TRACKED_PANDAS = 424242
};

/* Bytes in tracked blocks of that generation and later ones: now, and when the whole process was at
 * its peak (memtrace_reset_peak()), and their number now. */
MEMTRACE_API int memtrace_tracked(int64_t generation, int64_t* current_bytes, int64_t* peak_bytes,
                                  int64_t* current_blocks);

/* Follows these bytes from now on, so that their own peak is known exactly: every event of every
 * thread takes some 20 ns more until memtrace_untrack(). One generation at a time. */
MEMTRACE_API int memtrace_track(int64_t generation);
MEMTRACE_API void memtrace_untrack(void);
/* Since memtrace_track() or a reset; any thread. */
MEMTRACE_API int memtrace_tracked_bytes(int64_t* current_bytes, int64_t* peak_bytes);
MEMTRACE_API void memtrace_reset_tracked_peak(void);

/* -------------------------------------------------------------------------------------------------
 * Blocks
 */

/* Live blocks of one size from one site. */
typedef struct {
  uint64_t bytes;
  uint64_t count;
  uint32_t site;
  uint32_t reserved;
} memtrace_group;

/* All live blocks of that generation and later ones, grouped; in no order. tracked_only: without
 * MEMTRACE_UNTRACKED ones. To be released; NULL with *count = 0: none, with -1: an error. */
MEMTRACE_API memtrace_group* memtrace_live_groups(int64_t generation, int tracked_only,
                                                  int64_t* count);
MEMTRACE_API void memtrace_release_groups(memtrace_group* groups, int64_t count);

/* The block that an address is in. */
typedef struct {
  uint64_t bytes;
  uint32_t site;   /* 0: no recorded block */
  uint32_t offset; /* of the address in the block: 0, 16 or 32 */
} memtrace_block;

/* The blocks that start at the addresses, or 16 or 32 bytes before (what precedes Python's
 * objects).
 */
MEMTRACE_API void memtrace_find_blocks(const uint64_t* addresses, uint64_t count,
                                       memtrace_block* blocks);

/* -------------------------------------------------------------------------------------------------
 * Places. Ids never change their meaning; 0 is "none" (of nodes: the root).
 */

typedef struct {
  uint32_t node;   /* innermost Python frame */
  uint32_t module; /* string: path of what called malloc; 0: one of Python's allocators */
  uint32_t thread; /* slot */
  int32_t tracked; /* MEMTRACE_TRACKED_... */
  uint32_t domain; /* 1 malloc, 2 python.mem, 3 python.obj, 4 mmap, 5 mmap.file */
  uint32_t reserved;
} memtrace_site;

enum { MEMTRACE_FRAME_PYTHON = 1, MEMTRACE_FRAME_OTHER = 2, MEMTRACE_FRAME_LABEL = 4 };

typedef struct {
  uint32_t parent;   /* node of the calling frame */
  uint32_t kind;     /* MEMTRACE_FRAME_... */
  uint32_t filename; /* strings; of a label: its name, and 0 */
  uint32_t function;
  uint32_t line;       /* 0: none */
  uint32_t first_line; /* of the function */
} memtrace_node;

/* count ids each; what is no id is all zero. */
MEMTRACE_API void memtrace_sites(const uint32_t* ids, uint64_t count, memtrace_site* sites);
MEMTRACE_API void memtrace_nodes(const uint32_t* ids, uint64_t count, memtrace_node* nodes);

/* UTF-8, not terminated, valid for ever; "" for what is no string. */
MEMTRACE_API const char* memtrace_string(uint32_t id, uint32_t* bytes);

/* 1: the site is of that generation or a later one. */
MEMTRACE_API int memtrace_is_since(uint32_t site, int64_t generation);
/* -------------------------------------------------------------------------------------------------
 * Objects. The words (8 bytes each) that lie `offset` bytes after the addresses; 0 where an address
 * is 0. Every other address must be readable there: of an object that the caller holds.
 */
MEMTRACE_API void memtrace_read_words(const uint64_t* addresses, uint64_t count, int64_t offset,
                                      uint64_t* words);
/* -------------------------------------------------------------------------------------------------
 * Labels: names for parts of the program's work (interpose/labels.h). A label belongs to a Python
 * frame; what is allocated in that frame, and in those that it calls, has it.
 */

/* The label of that name (UTF-8; longer ones are cut to 255 bytes), for ever. 0: not tracing, no
 * name, or no room. */
MEMTRACE_API uint32_t memtrace_label(const char* name);

/* The frame `depth` calls out from the innermost one of this thread (0: that one) begins to have
 * the label, inside of those it has, or ends having it. 1: done. 0: not possible, or it had none of
 * that name; then `stray` ends one that another frame got from this thread. */
MEMTRACE_API int memtrace_label_enter(uint32_t label, int depth);
MEMTRACE_API int memtrace_label_exit(uint32_t label, int depth, int stray);

/* Frames of this source file (contextlib's), and those that they call, pass labels on to their
 * callers. */
MEMTRACE_API void memtrace_label_through(const char* filename);

/* -------------------------------------------------------------------------------------------------
 * Events of lines (CPython before 3.12; inspect_trace.cc). memtrace_trace is a Py_tracefunc whose
 * object is a tuple of three callables, for a function's call, line and return. They get the frame,
 * of wanted code objects only, while this thread is paused.
 */

/* Once, first: PyObject_CallFunctionObjArgs, Py_DecRef, and N of Python 3.N. */
MEMTRACE_API void memtrace_trace_setup(void* call, void* decrement, int minor);

/* Whether the events of this code object, by its address, are wanted. ENOSPC: 32,768 are. */
MEMTRACE_API int memtrace_trace_code(uint64_t code, int wanted);

MEMTRACE_API int memtrace_trace(void* handlers, void* frame, int what, void* argument);

#ifdef __cplusplus
}
#endif
#endif /* MEMTRACE_INSPECT_H_ */
