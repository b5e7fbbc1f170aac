"""json: nested records to text and back, both the C and the pure Python coders."""

import json
import json.decoder
import json.encoder
import json.scanner

records = [
    {
        "id": i,
        "name": "user%d" % i,
        "tags": ["a", "b", str(i)],
        "score": i * 0.5,
        "nested": {"x": i, "y": [i, i + 1], "none": None, "text": "\u20ac" * (i % 20)},
    }
    for i in range(1000)
]
text = json.dumps(records)
copies = [json.loads(text), json.loads(text, parse_float=str)]
indented = json.dumps(records[:200], indent=2, sort_keys=True)


class Slow(json.JSONDecoder):
    """The decoder without its C accelerator."""

    def __init__(self):
        super().__init__()
        self.parse_object = json.decoder.JSONObject
        self.parse_array = json.decoder.JSONArray
        self.parse_string = json.decoder.py_scanstring
        self.scan_once = json.scanner.py_make_scanner(self)


slow = Slow().decode(indented)
assert slow == records[:200] and copies[0] == records
pieces = list(
    json.encoder._make_iterencode(
        {},
        str,
        json.encoder.py_encode_basestring,
        None,
        float.__repr__,
        ": ",
        ", ",
        False,
        False,
        False,
    )(records[:100], 0)
)
