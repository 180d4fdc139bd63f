"""The example notebooks: run anew, or written as pages of the site with their outputs.

    python docs/site/notebooks.py execute [NAME ...]

Outputs are kept in the notebooks, so that they can be read where they lie; they are small by the notebooks' own doing,
and a test holds them below 1 MB.
"""

import argparse
import base64
import os
import re
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "docs" / "examples"
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def execute(notebook: Path) -> float:
    """Run one notebook from top to bottom and keep its outputs; seconds it took."""
    import nbformat
    from nbclient import NotebookClient

    settings = REPOSITORY / ".cache" / "ipython"
    settings.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("IPYTHONDIR", str(settings))
    started = time.perf_counter()
    content = nbformat.read(notebook, as_version=4)
    place = {"metadata": {"path": str(FOLDER)}}
    NotebookClient(content, timeout=900, kernel_name="python3", resources=place).execute()
    for cell in content.cells:
        cell.get("metadata", {}).pop("execution", None)
        if cell.cell_type == "code":  # log lines of libraries are about this machine, not about the example
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    content.metadata.pop("language_info", None)
    nbformat.write(content, notebook)
    return time.perf_counter() - started


def pages(folder: Path = FOLDER) -> dict[str, str | bytes]:
    """File name to content: one page a notebook, and its pictures."""
    import nbformat

    found: dict[str, str | bytes] = {}
    for path in sorted(folder.glob("*.ipynb")):
        text: list[str] = []
        for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
            if cell.cell_type == "markdown":
                text.append(cell.source + "\n")
                continue
            text.append(f"```python\n{cell.source}\n```\n")
            for place, output in enumerate(cell.outputs):
                name = f"{path.stem}-{number}-{place}.png"
                shown, picture = _shown(output, name)
                text += shown
                if picture is not None:
                    found[name] = picture
        found[f"{path.stem}.md"] = "\n".join(text)
    return found


def _shown(output: Any, name: str) -> tuple[list[str], bytes | None]:
    """Markdown of one output, and its picture where it is one."""
    if output.output_type == "stream":
        return [f"```text\n{ESCAPES.sub('', output.text).rstrip()}\n```\n"], None
    if output.output_type == "error":
        raise ValueError(f"a notebook was kept with an error in it: {output.ename}: {output.evalue}")
    data = output.get("data", {})
    if "image/png" in data:
        return [f"![Output of the cell above]({name})\n"], base64.b64decode(data["image/png"])
    return [f"```text\n{data.get('text/plain', '').rstrip()}\n```\n"], None


def main() -> None:
    """Run the notebooks that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["execute"])
    parser.add_argument("names", nargs="*", help="notebooks, without their ending; all where none")
    wanted = parser.parse_args().names or [path.stem for path in sorted(FOLDER.glob("*.ipynb"))]
    for name in wanted:
        seconds = execute(FOLDER / f"{name}.ipynb")
        print(f"{name}: {seconds:.0f} s, {(FOLDER / f'{name}.ipynb').stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
