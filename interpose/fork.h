// Fork: the child gets a region of its own, with what it inherited booked in thread slot 0.
//
// The child's private memory (live table, indexes) is of the moment of the fork, but the region is
// shared with the parent, which goes on. So what is live is summed in the parent just before the
// fork; the rest waits for the child's first event, because most children exec at once.
//
// Exactness. With one thread in the parent the inherited figures are exact. What the parent's other
// threads do between that sum and the fork itself (microseconds) is off by as much.
//
// Threading: the forking thread in the parent, the only thread in the child. posix_spawn, vfork and
// bare clone call no handlers: the first two share the parent's memory and change nothing, the last
// is summed at the child's first event.

#ifndef MEMTRACE_INTERPOSE_FORK_H_
#define MEMTRACE_INTERPOSE_FORK_H_

namespace memtrace {

void InstallForkHandlers();

// Sets a forked child up; at its first event. False: this child is not traced.
bool StartChild();

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_FORK_H_
