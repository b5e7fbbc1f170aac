"""`mprof plot`: memory over time by Matplotlib, or on the terminal where there is none.

MiB over seconds since the file's first sample. One thread; Matplotlib is loaded when it is needed
and not before. Errors are `files.FileError`s.
"""

import os
import time

from . import files, text_plot

_LINES = ("k", "b", "r", "g", "c", "y", "m")
_BRACKETS = ("c", "y", "g", "r", "b")
_HOW_TO_GET = "Matplotlib is needed to draw files: pip install 'memtrace-profiler[plot]'"


def _has_display():
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _pyplot(options):
    """Matplotlib's pyplot, or None where it is not installed."""
    try:
        import matplotlib
    except ImportError:
        return None
    if options.backend:
        matplotlib.use(options.backend)
    elif options.output or not _has_display():
        matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _checked(name):
    """The profile in the file, with at least one sample."""
    profile = files.read(name)
    if not profile.memory:
        raise files.FileError(
            "{0}: no memory usage values have been found; the program may have ended at once. "
            "`mprof rm {0}` removes the file".format(name)
        )
    return profile


def points(profile):
    """All that is known of the main process's memory: samples, and the ends of marked calls."""
    found = list(profile.memory)
    for calls in profile.functions.values():
        for start, end, memory0, memory1, _ in calls:
            found += [(start, memory0), (end, memory1)]
    return sorted(found, key=lambda point: point[0])


def slope(series):
    """(MiB per second, MiB at time 0) of the straight line through the points."""
    count = len(series)
    mean_t = sum(t for t, _ in series) / count
    mean_m = sum(m for _, m in series) / count
    spread = sum((t - mean_t) ** 2 for t, _ in series)
    if spread == 0:
        return 0.0, mean_m
    rise = sum((t - mean_t) * (m - mean_m) for t, m in series) / spread
    return rise, mean_m - rise * mean_t


def short_names(names):
    """{dotted name: its shortest end that no other has}."""
    found = {}
    for name in names:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            short = ".".join(parts[-length:])
            if not any(o != name and ("." + o).endswith("." + short) for o in names):
                break
        found[name] = short
    return found


def _label(start):
    moment = time.strftime("%d / %m / %Y - start at %H:%M:%S", time.localtime(start))
    return "{}.{:03d}".format(moment, int(start % 1 * 1000))


class _Drawing:
    """One figure, to which files are added."""

    def __init__(self, pyplot, options):
        self._options = options
        self._figure = pyplot.figure(figsize=(14, 6), dpi=90)
        place = [0.1, 0.1, 0.8, 0.8] if options.flame else [0.1, 0.1, 0.6, 0.75]
        self._axes = self._figure.add_axes(place)
        self._axes.set_xlabel("time (in seconds)")
        self._axes.set_ylabel("memory used (in MiB)")
        self._axes.grid(True)

    def _line(self, series, start, style, label):
        times = [t - start for t, _ in series]
        if self._options.slope and not self._options.flame:
            rise, base = slope([(t - start, m) for t, m in series])
            label += " slope {:.5f}".format(rise)
            trend = [rise * t + base for t in times]
            self._axes.plot(times, trend, "--", linewidth=0.5, color="#00e3d8")
        self._axes.plot(times, [m for _, m in series], style, label=label)

    def _cross(self, series, start):
        """Dashed lines through the highest point."""
        when, highest = max(series, key=lambda point: point[1])
        self._axes.axhline(highest, color="r", linestyle="--", linewidth=1)
        self._axes.axvline(when - start, color="r", linestyle="--", linewidth=1)

    def _brackets(self, profile, start):
        low, high = self._axes.get_ylim()
        left, right = self._axes.get_xlim()
        tall, wide = (high - low) / 20, (right - left) / 60
        names = short_names(profile.functions)
        for number, (name, calls) in enumerate(profile.functions.items()):
            colour = _BRACKETS[number % len(_BRACKETS)]
            for begin, end, memory0, memory1, _ in calls:
                label = " {} {:.3f}s".format(names[name], end - begin)
                for t, m, side in ((begin, memory0, 1), (end, memory1, -1)):
                    x = [t - start + side * dx for dx in (wide, 0, 0, wide)]
                    y = [m + dy for dy in (tall, tall, -tall, -tall)]
                    self._axes.plot(x, y, "-" + colour, linewidth=2, label=label)
                    label = None

    def _flames(self, profile, start):
        axes = self._axes.twinx()
        axes.set_yticks([])
        deepest = max(call[4] for calls in profile.functions.values() for call in calls)
        axes.set_ylim(0, deepest + 2)
        names = short_names(profile.functions)
        for name, calls in profile.functions.items():
            for number, (begin, end, _, _, level) in enumerate(calls):
                strength = 1 - 0.75 * level / (deepest + 1)
                colour = (1, 1 - strength * (1 - 0.4 * (number % 2)), 1 - strength)
                axes.barh(
                    level, end - begin, 1, begin - start, align="edge", color=colour, alpha=0.5
                )
                axes.text(begin - start, level + 1, names[name], va="top", fontsize="small")

    def add(self, profile, number, marks):
        series = points(profile)
        start = series[0][0]
        style = ("-" if self._options.flame else "+-") + _LINES[number % len(_LINES)]
        self._line(series, start, style, _label(start))
        for index, (pid, child) in enumerate(profile.children.items()):
            style = "+-" + _LINES[(index + 1) % len(_LINES)]
            self._line(child, start, style, "child {}".format(pid))
        if profile.children:
            highest = max(profile.children.values(), key=lambda c: max(m for _, m in c))
            self._cross(highest, start)
        if marks and profile.functions:
            self._flames(profile, start) if self._options.flame else self._brackets(profile, start)
        if marks:
            self._cross(series, start)

    def finish(self, title):
        if title:
            self._axes.set_title(title)
        if self._options.window:
            self._axes.set_xlim(*self._options.window)
        if not self._options.flame:
            legend = self._axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
            legend.get_frame().set_alpha(0.5)
        return self._figure


def _save(figure, name):
    try:
        figure.savefig(name)
    except (OSError, ValueError) as error:
        raise files.FileError("{}: cannot be written: {}".format(name, error))


def draw(names, options):
    """Draws the files; the exit status."""
    profiles = [_checked(name) for name in names]
    pyplot = None if options.text else _pyplot(options)
    title = options.title
    if title is None and len(profiles) == 1:
        title = profiles[0].command
    if pyplot is None and options.output:
        raise files.FileError(_HOW_TO_GET + "; without it, `mprof plot` draws on the terminal")
    interactive = pyplot is not None and pyplot.get_backend().lower() != "agg"
    if not options.output and not interactive:
        text_plot.draw(profiles, title, options.window)
        if pyplot is None and not options.text:
            print(_HOW_TO_GET)
        return 0
    drawing = _Drawing(pyplot, options)
    for number, profile in enumerate(profiles):
        drawing.add(profile, number, marks=len(profiles) == 1 and not options.no_marks)
    figure = drawing.finish(title)
    if options.output:
        _save(figure, options.output)
    else:
        pyplot.show()
    return 0
