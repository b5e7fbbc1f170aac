"""Stacks of recorded blocks as tracemalloc shows them: tuples of (file name, line), newest first.

Lines are 0 where the interpreter knows none; a block without any Python frame has the one frame
("<unknown>", 0). What is known of a site or a frame never changes and is kept for good. Every
function is called between pause() and resume() of `functions` (memtrace._inspect), by any thread:
what two threads find out at the same time is the same.
"""

import array
import ctypes
import struct

from .. import _inspect

UNKNOWN = (("<unknown>", 0),)

_SITE = struct.Struct("=IIIiII")
_NODE = struct.Struct("=IIIIII")

_sites = {0: (0, _inspect.UNTRACKED)}  # site -> (node, domain)
_nodes = {}  # node -> (caller's node, frame or None)
_totals = {0: 0}  # node -> number of frames
_names = {}  # string -> text
_stacks = {}  # (node, limit) -> frames
_interned = {UNKNOWN: UNKNOWN}  # stacks of different nodes may have the same newest frames


def _ask(function, ids, structure, layout):
    """What the library says of each id: an iterator of tuples."""
    wanted = array.array("I", ids)
    count = len(wanted)
    buffer = (ctypes.c_uint32 * count).from_buffer(wanted)
    found = (structure * count)()
    function(buffer, count, found)
    return zip(wanted, layout.iter_unpack(found))


def load_sites(functions, ids):
    """Finds out where these sites are, all at once."""
    new = [site for site in ids if site not in _sites]
    if new:
        for site, fields in _ask(functions.sites, new, _inspect.Site, _SITE):
            _sites[site] = (fields[0], fields[3])


def domain(site):
    return _sites[site][1]


def node(site):
    return _sites[site][0]


def load_stacks(functions, sites, limit):
    """Finds out the newest `limit` frames of these sites, all of them if 0; level by level."""
    level = {_sites[site][0] for site in sites}
    level.discard(0)
    depth = 0
    while level and (not limit or depth < limit):
        new = [number for number in level if number not in _nodes]
        if new:
            _load_nodes(functions, new)
        level = _callers(level)
        depth += 1


def _load_nodes(functions, ids):
    for number, fields in _ask(functions.nodes, ids, _inspect.Node, _NODE):
        caller, kind, filename, _, line, _ = fields
        frame = None
        if kind == _inspect.FRAME_PYTHON:
            frame = (_name(functions, filename), line)
        # A frame that is not shown may still be the only link to its caller.
        _nodes[number] = (caller, frame)


def _callers(level):
    callers = {_nodes[number][0] for number in level}
    callers.discard(0)
    return callers


def _name(functions, number):
    try:
        return _names[number]
    except KeyError:
        return _names.setdefault(number, _inspect.string(functions, number))


def _link(functions, number):
    try:
        return _nodes[number]
    except KeyError:
        _load_nodes(functions, (number,))
        return _nodes[number]


def frames(functions, site, limit):
    """The newest `limit` frames of a site; the same tuple each time."""
    number = _sites[site][0]
    key = (number, limit)
    try:
        return _stacks[key]
    except KeyError:
        pass
    found = []
    while number and len(found) < limit:
        number, frame = _link(functions, number)
        if frame is not None:
            found.append(frame)
    stack = tuple(found) or UNKNOWN
    return _stacks.setdefault(key, _interned.setdefault(stack, stack))


def total(functions, site):
    """How many frames a site's whole stack has."""
    number = _sites[site][0]
    path = []
    while number not in _totals:
        path.append(number)
        number = _link(functions, number)[0]
    count = _totals[number]
    for number in reversed(path):
        count += _nodes[number][1] is not None
        _totals[number] = count
    return count or 1
