"""What each line of a function allocates: tables, the record of a thread, and where events come from.

`table` holds the figures, `recorder` turns events of lines into them, and `monitoring` (3.12 on) and
`tracing` (before) make the events. Figures are bytes and nanoseconds, all integers. Recorders work in
any thread; each thread's figures are its own until they are read.
"""
