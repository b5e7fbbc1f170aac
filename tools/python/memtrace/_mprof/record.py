"""`mprof run` and `mprof attach`: a program, or a running process, sampled into a file.

What this says goes to standard error: standard output is the program's. The file is mprof's
(`files`). Errors are `files.FileError`s.
"""

import math
import os
import sys
import time

from . import files, meters, program, regions, sampler, session, system

_ATTACHED_SECONDS = 3600

# How long a program may take from its start to its region.
_PATIENCE = 2.0


def _say(text):
    sys.stderr.write("mprof: {}\n".format(text))


def _check(options):
    if not options.interval > 0 or math.isinf(options.interval):
        raise files.FileError("-T {}: the interval must be above 0".format(options.interval))
    if options.timeout is not None and options.timeout <= 0:
        raise files.FileError("-t {}: the timeout must be above 0".format(options.timeout))


def _open(name):
    try:
        return open(name, "a", buffering=1)
    except OSError as error:
        raise files.FileError("{}: cannot be written: {}".format(name, error.strerror))


def _sampler(main, backend, folders, stream, options):
    return sampler.Sampler(
        main, backend, folders, stream, options.include_children, options.multiprocess
    )


# ---------------------------------------------------------------------------------------------
# A new process


def _library(backend):
    """The library's path for the exact backend; None for those that need none."""
    if backend != meters.DEFAULT:
        return None
    from .. import _place

    found = _place.library()
    if found is None:
        raise files.FileError(
            "libmemtrace.so is not beside this package; set MEMTRACE_LIBRARY to its path, or use "
            "--backend psutil"
        )
    return found


def _command(options, output):
    """(command to be shown, command to be run)."""
    arguments = options.program
    marks = options.python
    if program.is_script(arguments) and not options.nopython:
        arguments = program.with_interpreter(arguments)
        marks = marks or not options.multiprocess
    elif marks:
        arguments = program.with_interpreter(arguments)
    if not marks:
        return arguments, arguments
    _say("running as a Python program...")
    run = program.with_marks(arguments, output, options.backend, options.include_children)
    return arguments, run


def _is_traced(meter, interval):
    """Waits for the region of a program that has just been started.

    (whether it is there, resident memory meanwhile as (bytes, time))"""
    resident, give_up, next_sample = [], time.monotonic() + _PATIENCE, 0.0
    while not meter.find():
        now = time.monotonic()
        if now >= next_sample:
            size, next_sample = system.rss(meter.pid), now + interval
            if size:
                resident.append((size, time.time()))
        if not meter.alive() or now > give_up:
            return meter.find(), resident
        time.sleep(0.002)
    return True, []


def _first_meter(running, options, folder, stream):
    """(meter, backend) of the program; where it is not traced, of its resident memory."""
    backend = options.backend
    meter = meters.meter(running.pid, backend, [folder] if folder else [])
    if backend != meters.DEFAULT:
        return meter, backend
    traced, resident = _is_traced(meter, options.interval)
    if traced:
        return meter, backend
    stream.writelines(files.mem_line(size, when) for size, when in resident)
    _say(
        "the program is not traced (is it static, or setuid? `memtrace doctor` tells more): its "
        "resident memory is recorded instead"
    )
    return meters.meter(running.pid, "psutil", []), "psutil"


def _record(running, world, stream, options):
    """Samples until the program ends; whether it has."""
    meter, backend = _first_meter(running, options, world.folder, stream)
    folders = [world.folder] if world.folder else []
    sweeper = sampler.Sweeper(world.folder, running.pid)

    def ended(seconds):
        sweeper.sweep()
        return running.ended(seconds)

    watching = _sampler(meter, backend, folders, stream, options)
    return watching.run(options.interval, options.timeout, ended)


def _status(running, options):
    status = running.status()
    if running.ended_by_us is not None and status == 128 + running.ended_by_us:
        return status
    if not options.exit_code or status is None:
        return 0
    if status:
        _say("Program resulted with a non-zero exit code: {}".format(status))
    return status


def _start(command, environment, new_file):
    """The program; where it cannot be started, no new file is left behind."""
    try:
        return program.Program(command, environment)
    except files.FileError:
        if new_file is not None:
            os.unlink(new_file)
        raise


def run(options):
    """Runs the program and samples it; the exit status."""
    _check(options)
    if options.program[:1] == ["--"]:
        del options.program[0]
    if not options.program:
        raise files.FileError("A program to run must be provided. Use -h for help")
    library = _library(options.backend)
    _say("Sampling memory every {}s".format(options.interval))
    _say("running new process")
    output = options.filename or files.new_name()
    shown, command = _command(options, output)
    with _open(output) as stream:
        world = session.Session(library)
        over = True
        try:
            stream.write("CMDLINE {}\n".format(files.command_line(shown)))
            running = _start(command, world.environment, None if options.filename else output)
            over = _record(running, world, stream, options)
        finally:
            # While the program goes on its records are needed: children are to find the folder.
            if over:
                world.close()
    if not over:
        _say("{} s are over; the program goes on as pid {}".format(options.timeout, running.pid))
    return _status(running, options)


# ---------------------------------------------------------------------------------------------
# A process that runs already


def _pid_of(hint):
    if hint.isdigit():
        return int(hint)
    for pid in sorted(system.processes()):
        if pid != os.getpid() and hint in system.name(pid):
            return pid
    raise files.FileError(
        "When attaching, program should be process name or pid.\n"
        "Failed to find a process using hint: {}".format(hint)
    )


def _attached_meter(pid, backend):
    meter = meters.meter(pid, backend, regions.folders())
    if not meter.alive():
        raise files.FileError("there is no process {}".format(pid))
    if backend != meters.DEFAULT or meter.find():
        meter.bytes(), meter.peak(at_end=True)  # what was before this is not part of the record
        return meter, backend
    _say(
        "process {} is not traced: its resident memory is recorded instead. `memtrace run` or "
        "`mprof run` start programs so that they are".format(pid)
    )
    return meters.meter(pid, "psutil", []), "psutil"


def attach(options):
    """Samples a running process until it ends, the time is over, or Ctrl-C; the exit status."""
    _check(options)
    if not options.program:
        raise files.FileError("A process to attach to must be given, by name or by pid")
    hint = options.program[0]
    _say("Sampling memory every {}s".format(options.interval))
    _say("attaching to existing process, using hint: {}".format(hint))
    pid = _pid_of(hint)
    meter, backend = _attached_meter(pid, options.backend)

    def ended(seconds):
        time.sleep(max(seconds, 0))
        return not meter.alive()

    options.timeout = options.timeout or _ATTACHED_SECONDS
    with _open(options.filename or files.new_name()) as stream:
        command = system.command_line(pid) or [hint]
        stream.write("CMDLINE {}\n".format(files.command_line(command)))
        watching = _sampler(meter, backend, regions.folders(), stream, options)
        try:
            watching.run(options.interval, options.timeout, ended)
        except KeyboardInterrupt:
            _say("stopped; process {} goes on".format(pid))
    return 0
