"""The program under `mprof run`: its command, its start, signals, its end.

Signals that ask this process to end are the program's: it gets them, and sampling goes on until it
has ended. An interrupt from the terminal has reached the program already.
"""

import os
import signal
import subprocess
import sys

from . import files

_STAMPS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stamps.py")
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)


def is_script(arguments):
    return arguments[0].endswith(".py")


def _is_interpreter(word):
    return os.path.basename(word).startswith("python")


def with_interpreter(arguments):
    """The command, with this interpreter in front unless it names one."""
    return arguments if _is_interpreter(arguments[0]) else [sys.executable] + arguments


def _options_end(arguments):
    """Where the interpreter's own options end: at the script, -m or -c."""
    place = 1
    while place < len(arguments) and arguments[place].startswith("-"):
        word = arguments[place]
        if word in ("-", "-m", "-c"):
            break
        place += 2 if word in ("-X", "-W", "--check-hash-based-pycs") else 1
    return place


def with_marks(arguments, output, backend, include_children):
    """The command of a Python program (interpreter in front) that marks its functions in the file.

    Code of -c and of standard input is run without marks."""
    marking = [_STAMPS, "-o", os.path.abspath(output), "--backend", backend]
    if include_children:
        marking.append("--include-children")
    place = _options_end(arguments)
    if arguments[place : place + 1] in ([], ["-c"], ["-"]):
        return arguments
    return arguments[:place] + marking + ["--"] + arguments[place:]


def _from_terminal():
    """Whether this process is in the terminal's foreground, where its program gets Ctrl-C itself."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


class Program:
    """A program that has been started."""

    def __init__(self, arguments, environment):
        self._process = None
        self.ended_by_us = None
        for number in _PASSED_ON:
            # What is ignored (nohup) is to be ignored by the program, too.
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._pass_on)
        try:
            self._process = subprocess.Popen(arguments, env=environment)
        except OSError as error:
            raise files.FileError("{}: cannot be run: {}".format(arguments[0], error.strerror))
        self.pid = self._process.pid
        if self.ended_by_us is not None:
            self._process.send_signal(self.ended_by_us)

    def _pass_on(self, number, _frame):
        self.ended_by_us = number
        if number == signal.SIGINT and _from_terminal():
            return
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    def ended(self, seconds):
        """Waits so long; whether it has ended."""
        try:
            self._process.wait(timeout=max(seconds, 0))
        except subprocess.TimeoutExpired:
            return False
        return True

    def status(self):
        """The exit status as a shell would have it; None while it runs."""
        code = self._process.returncode
        return code if code is None or code >= 0 else 128 - code
