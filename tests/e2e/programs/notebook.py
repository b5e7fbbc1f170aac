"""Runs the cells in a JSON file in a real kernel; prints what each of them put out.

notebook.py CELLS.json    [[text of a cell's streams and results, name of its exception], …]
"""

import json
import sys

import nbclient
import nbformat


def text_of(output):
    if output["output_type"] == "stream":
        return output["text"]
    if output["output_type"] == "error":
        return ""
    return output["data"].get("text/plain", "") + "\n"


with open(sys.argv[1]) as file:
    cells = json.load(file)
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", allow_errors=True).execute()
told = []
for cell in notebook.cells:
    errors = [out["ename"] for out in cell.outputs if out["output_type"] == "error"]
    told.append(["".join(map(text_of, cell.outputs)), errors[0] if errors else None])
print(json.dumps(told))
