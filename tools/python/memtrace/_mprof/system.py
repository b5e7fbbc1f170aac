"""What the kernel says of processes (/proc): who lives, whose child it is, resident memory.

Bytes. Nothing raises for a process that has ended or belongs to somebody else: the answer is None,
0 or an empty list. Any thread may call these functions.
"""

import os

_PAGE = os.sysconf("SC_PAGE_SIZE")


def _text(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _stat(pid):
    """The fields of /proc/PID/stat from the third (state) on, or []."""
    return _text("/proc/{}/stat".format(pid)).rpartition(b")")[2].split()


def start(pid):
    """When the process started, in ticks since boot: with the pid it names one process. None: gone,
    or a zombie, which has no memory any more."""
    fields = _stat(pid)
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):
        return None
    return int(fields[19])


def processes():
    """All pids."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _children(pid):
    """Pids of the children of all the process's threads."""
    found = []
    try:
        threads = os.listdir("/proc/{}/task".format(pid))
    except OSError:
        return found
    for thread in threads:
        found += map(int, _text("/proc/{}/task/{}/children".format(pid, thread)).split())
    return found


def _children_of_all():
    """The same of every process, where the kernel has no lists of children."""
    found = {}
    for other in processes():
        fields = _stat(other)
        if len(fields) > 1:
            found.setdefault(int(fields[1]), []).append(other)
    return found


def descendants(pid):
    """Pids of the process's children and theirs."""
    children = _children
    if not os.path.exists("/proc/thread-self/children"):
        everybody = _children_of_all()
        children = lambda of: everybody.get(of, [])  # noqa: E731
    found, waiting = [], [pid]
    while waiting:
        of = children(waiting.pop())
        found.extend(of)
        waiting.extend(of)
    return sorted(found)


def name(pid):
    """The name of the program that the process runs, as its command line has it, or the kernel."""
    first = _text("/proc/{}/cmdline".format(pid)).split(b"\0", 1)[0]
    base = os.path.basename(os.fsdecode(first))
    return base or os.fsdecode(_text("/proc/{}/comm".format(pid)).strip())


def command_line(pid):
    """The arguments of the process, or []."""
    data = _text("/proc/{}/cmdline".format(pid)).rstrip(b"\0")
    return [os.fsdecode(part) for part in data.split(b"\0")] if data else []


def rss(pid):
    """Resident memory."""
    fields = _text("/proc/{}/statm".format(pid)).split()
    return int(fields[1]) * _PAGE if len(fields) > 1 else None


def _sum_of(pid, fields):
    """The sum of these fields of smaps_rollup, or of smaps where there is none (before Linux 4.14)."""
    for file in ("smaps_rollup", "smaps"):
        data = _text("/proc/{}/{}".format(pid, file))
        if data:
            lines = (line.split() for line in data.splitlines())
            return sum(int(line[1]) * 1024 for line in lines if line and line[0] in fields)
    return None


def pss(pid):
    """Resident memory, what is shared divided by the number of its users."""
    return _sum_of(pid, (b"Pss:",))


def uss(pid):
    """Resident memory of this process alone."""
    return _sum_of(pid, (b"Private_Clean:", b"Private_Dirty:"))
