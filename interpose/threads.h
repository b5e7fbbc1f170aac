// Thread slots: who writes which cells.

#ifndef MEMTRACE_INTERPOSE_THREADS_H_
#define MEMTRACE_INTERPOSE_THREADS_H_

#include <cstdint>

#include "interpose/thread.h"

namespace memtrace {

// The calling thread's slot and state: that of a thread that has ended, or a new one. Sets
// t_thread. nullptr: no more slots (counted as lost by the caller's next event).
Thread* ClaimThread();

// In a forked child: only the calling thread is left; all others' slots are free, no cells are
// known. Returns the Thread of slot 0, where what was inherited is booked.
Thread* ResetThreadsInChild();

// The thread's caches know no sites any more.
void ForgetSitesOf(Thread* t);
// The same if a generation has begun since they were made.
void RenewSites(Thread* t);

// Bytes that are not part of Header::shared_total yet.
int64_t UnflushedBytes();

// All threads rest as is said: what they do next takes the slow way (kClosed), or is not recorded
// (kAllocating). Events that are under way end as they began.
void RestAs(Busy rest);

// All threads look their Python thread states up anew: the interpreter has been finalised, and may
// get a key of the same number when it is initialised again.
void ForgetThreadStates();

// The block with a Python thread state is about to be freed: a thread that has it reads it no more,
// and has ended doing so.
void RetireThreadState(const void* block);

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_THREADS_H_
