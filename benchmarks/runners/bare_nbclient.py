"""Execute notebooks one after the other with nbclient and nothing else: what `advrec run` is measured against.

``bare_nbclient.py FOLDER PARAMETERS NOTEBOOK...``: PARAMETERS is a JSON object put below the cell tagged
``parameters``; the executed copies go to FOLDER.
"""

import json
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def main() -> None:
    folder, parameters, *notebooks = sys.argv[1:]
    source = "\n".join(f"{name} = {value!r}" for name, value in json.loads(parameters).items())
    for path in map(Path, notebooks):
        notebook = nbformat.read(path, as_version=4)
        for index, cell in enumerate(notebook.cells):
            if "parameters" in cell.metadata.get("tags", ()):
                notebook.cells.insert(index + 1, nbformat.v4.new_code_cell(source))
                break
        NotebookClient(notebook, timeout=None, resources={"metadata": {"path": folder}}).execute()
        nbformat.write(notebook, Path(folder) / path.name)


if __name__ == "__main__":
    main()
