"""What `memtrace mprof` is made of; for use by `memtrace.mprof` alone.

`commands` parses the command line; `record` and `sampler` run a program and sample it; `stamps` is
the part inside a Python program that marks its functions; `files` reads and writes .dat files;
`plot` and `text_plot` draw them. `regions` and `system` say how much memory a process has.
"""
