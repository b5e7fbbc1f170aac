"""What the program's objects take: sizes, tables by type and line, growth, lifetimes.

Sizes are bytes. An object has its own block, as the allocator has it (the garbage collector's
header included), and the buffers it owns: a list's items, a dict's table, an array's data. Where a
block is not known to the recorder (static objects; what was there before a late start; no tracing
at all), `sys.getsizeof` tells the size.

Threading: every function may be called from any thread; other Python threads go on meanwhile, and
what they do in that time is seen or not. What the functions allocate for themselves is not recorded.
Results keep no object alive unless they say so.

| module | role |
|---|---|
| `_engine` | the recorder's answers for many addresses at once, and lines of places |
| `_layout` | which words of which types point to buffers they own |
| `_measure` | sizes and places of many objects |
| `_graph`, `_unseen` | which objects there are, and which refer to which |
| `_sizes`, `_heap`, `_growth`, `_where`, `_retained`, `_track`, `_referrers` | the questions |
"""
