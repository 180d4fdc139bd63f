"""The pages of the site: those written by hand, and those generated from the code, side by side in one folder.

    python docs/site/stage.py build/docs

The site's builder then reads that folder (`make docs`). Nothing generated is kept in the repository, so none of it can
be out of date.
"""

import argparse
import os
import re
import shutil
from pathlib import Path

import commands
import library
import notebooks
import options
import sources
import structure

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
LIBRARY = REPOSITORY / "pipeline_lib"
FORGE = "https://github.com/overbank/overbank/blob/main/"
ROOT_PAGES = {
    "CHANGELOG.md": "about/changelog.md",
    "CONTRIBUTING.md": "about/contributing.md",
    "SECURITY.md": "about/security.md",
    "CODE_OF_CONDUCT.md": "about/code-of-conduct.md",
}
LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)]*)?\))")


def stage(target: Path) -> Path:
    """Write every page into an empty folder."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(DOCS, target, ignore=shutil.ignore_patterns("site", "*.ipynb", "__pycache__"))
    for source, page in ROOT_PAGES.items():
        write(target / page, (REPOSITORY / source).read_text())
    for page in target.rglob("*.md"):
        place = page.relative_to(target)
        folder = (DOCS / place).parent if (DOCS / place).is_file() else REPOSITORY
        page.write_text(outward(page.read_text(), folder, place.parent))
    write(target / "reference" / "commands.md", commands.page())
    write(target / "reference" / "options.md", options.page())
    write(target / "reference" / "sources.md", sources.page(LIBRARY, DOCS / "references.bib"))
    for name, content in structure.page(REPOSITORY).items():
        write(target / "reference" / name, content)
    for name, content in library.pages(LIBRARY).items():
        write(target / "reference" / "python" / name, content)
    for name, content in notebooks.pages().items():
        write(target / "examples" / name, content)
    return target


def outward(text: str, folder: Path, place: Path) -> str:
    """Links of a page that lead out of the documentation lead to the repository instead; the others within the site.

    Args:
        text: of the page.
        folder: where the page lies in the repository.
        place: folder of the page in the site.
    """

    def moved(found: re.Match[str]) -> str:
        aim = (folder / found[2]).resolve()
        if not aim.is_relative_to(REPOSITORY) or not aim.exists():
            return found[0]
        if aim.is_relative_to(DOCS):
            return f"{found[1]}{os.path.relpath(aim.relative_to(DOCS), place)}{found[3]}"
        return f"{found[1]}{FORGE}{aim.relative_to(REPOSITORY)}{found[3]}"

    return LINK.sub(moved, text)


def write(path: Path, content: str | bytes) -> None:
    """Write one file, its folder made where it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path)
    print(f"pages: {stage(parser.parse_args().target)}")
