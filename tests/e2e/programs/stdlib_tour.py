"""A walk through the standard library: every line of every module is compared, ours and theirs."""

import base64
import collections
import csv
import datetime
import decimal
import difflib
import enum
import fractions
import heapq
import io
import itertools
import json
import re
import string
import textwrap
import xml.etree.ElementTree as ElementTree


class Color(enum.Enum):
    RED = 1
    GREEN = 2


Point = collections.namedtuple("Point", "x y label")
kept = []
document = {
    "name%d" % i: [i, i * 0.5, str(i), {"deep": [None, True, {"k": i}]}] for i in range(300)
}
text = json.dumps(document, indent=1)
kept.append(json.loads(text))
kept.append([m.groups() for m in re.finditer(r"(\w+)(\d+)", text)])
rows = io.StringIO()
csv.writer(rows).writerows((i, "name, quoted %d" % i, i / 3) for i in range(500))
rows.seek(0)
kept.append(list(csv.DictReader(rows, ["a", "b", "c"])))
kept.append([datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(200)])
kept.append([decimal.Decimal(i) / 7 for i in range(200)])
kept.append(sum((fractions.Fraction(1, i) for i in range(1, 60)), fractions.Fraction(0)))
kept.append(collections.Counter(text))
kept.append([Point(i, -i, "p%d" % i) for i in range(300)])
heap = []
for value in itertools.chain(range(200), range(100)):
    heapq.heappush(heap, (value % 17, str(value)))
kept.append(heap)
tree = ElementTree.fromstring(
    "<r>" + "".join("<i n='%d'>t%d</i>" % (i, i) for i in range(200)) + "</r>"
)
kept.append(tree)
kept.append(textwrap.fill(text, 70).splitlines())
kept.append(list(difflib.unified_diff(text.splitlines()[:200], text.splitlines()[50:250])))
kept.append([base64.b64encode(bytes(range(i % 256))) for i in range(200)])
kept.append(
    [
        string.Template("$who likes $what").substitute(who=c.name, what=i)
        for c in Color
        for i in range(100)
    ]
)
