"""The json module's C encoder and decoder over 40,000 nested records."""

import json

rows = [
    {
        "id": i,
        "name": f"user{i}",
        "tags": ["a", "b", str(i)],
        "score": i * 0.5,
        "nested": {"x": i, "y": [i, i + 1]},
    }
    for i in range(40000)
]
for _ in range(4):
    s = json.dumps(rows)
    rows = json.loads(s)
