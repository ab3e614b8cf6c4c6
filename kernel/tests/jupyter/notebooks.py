"""Runs notebooks as nbclient does, then shows them as HTML as nbconvert does.

    JUPYTER_PATH=PREFIX/share/jupyter python notebooks.py OUT NOTEBOOK...

Leaves OUT/NAME.ipynb with its outputs and OUT/NAME.html. What a notebook's cells have to bring stands in their
metadata: `"expect": ["text", …]`, texts of the plain outputs, in order.
"""

import pathlib
import sys

import nbclient
import nbconvert
import nbformat


def plain(outputs):
    for o in outputs:
        if o.output_type == "stream":
            yield o.text
        elif o.output_type in ("display_data", "execute_result"):
            yield o.data["text/plain"]
            assert "text/html" in o.data or "image/svg+xml" in o.data
        else:
            raise AssertionError(o)


def main(out, *notebooks):
    for path in map(pathlib.Path, notebooks):
        book = nbformat.read(path, as_version=4)
        nbformat.validate(book)
        client = nbclient.NotebookClient(book, timeout=120, resources={"metadata": {"path": path.parent}})
        client.execute()
        expected = 0
        for cell in book.cells:
            if cell.cell_type != "code":
                continue
            text = "\n".join(plain(cell.outputs))
            for want in cell.metadata.get("expect", []):
                at = text.find(want)
                assert at >= 0, f"{path.name}: {want!r} is not in\n{text}"
                text = text[at + len(want) :]
                expected += 1
        assert expected, f"{path.name} expects nothing"
        nbformat.validate(book)
        nbformat.write(book, pathlib.Path(out, path.name))
        html, _ = nbconvert.HTMLExporter().from_notebook_node(book)
        assert 'class="ravine"' in html
        pathlib.Path(out, path.stem + ".html").write_text(html, encoding="utf-8")
        print(f"{path.name}: {expected} texts as expected")


main(*sys.argv[1:])
