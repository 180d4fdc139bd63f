"""Where each method comes from: the references in the docstrings, and the bibliography."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

BLOCK = re.compile(r"^[ \t]*References?:[ \t]*(.*?)(?=\n\s*\n|\n\w[\w ]*:\n|\Z)", re.DOTALL | re.MULTILINE)
ENTRY = re.compile(r"@(\w+)\{([^,]+),(.*?)\n\}", re.DOTALL)
FIELD = re.compile(r"^\s*(\w+)\s*=\s*\{(.*)\},?\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """What one docstring says about where its method comes from."""

    name: str
    """Dotted name of the module, class or function."""
    text: str
    """The references, one line."""


@dataclass(frozen=True)
class Work:
    """One entry of the bibliography."""

    key: str
    fields: dict[str, str]

    @property
    def surname(self) -> str:
        """Of the first author, or the organisation."""
        return self.fields["author"].split(" and ")[0].split(",")[0].strip("{}")

    @property
    def year(self) -> str:
        """Of publication."""
        return self.fields["year"]


def sources(package: Path) -> Iterator[Source]:
    """Every docstring under a package that names a reference."""
    for path in sorted(package.rglob("*.py")):
        module = ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                found = BLOCK.search(ast.get_docstring(node) or "")
                if found:
                    name = ".".join([module, *([node.name] if not isinstance(node, ast.Module) else [])])
                    yield Source(name, " ".join(found[1].split()))


def works(bibliography: Path) -> list[Work]:
    """The entries of a BibTeX file."""
    text = bibliography.read_text()
    return [Work(key.strip(), dict(FIELD.findall(body))) for _, key, body in ENTRY.findall(text)]


def cited(text: str, known: list[Work]) -> list[Work]:
    """The works that a sentence cites by surname and, where it gives one near by, year."""
    return [work for work in known if re.search(rf"\b{re.escape(work.surname)}\b[^;]{{0,220}}?\b{work.year}\b", text)]


def page(package: Path, bibliography: Path) -> str:
    """Markdown: what comes from where with equation numbers, then the bibliography."""
    known = works(bibliography)
    parts = [
        "# Methods and where they come from\n",
        (
            "Collected from the docstrings: each method with its paper and, where it follows one, the equation. What a "
            "method does differently stands in its docstring and on the page about it.\n"
        ),
        "| where | source |",
        "|---|---|",
    ]
    for source in sources(package):
        package_name = source.name.split(".")[1]
        text = source.text.replace("|", "\\|")
        parts.append(f"| [`{source.name.removeprefix('pipeline_lib.')}`](python/{package_name}.md) | {text} |")
    checked = sum("checked" in work.fields for work in known)
    parts += [
        "\n## Bibliography\n",
        (
            f"As BibTeX: [references.bib](../references.bib). {checked} of {len(known)} were compared with records of the work "
            "by others (authors, title, year, place, DOI); the rest, marked with a degree sign, are as the authors of the code "
            "know them.\n"
        ),
    ]
    parts += [f"- {_line(work)}" for work in sorted(known, key=lambda work: (work.surname, work.year))]
    return "\n".join([*parts, ""])


def _line(work: Work) -> str:
    f = work.fields
    authors = f["author"].replace(" and others", " et al.").replace(" and ", "; ").replace("{", "").replace("}", "")
    where = ", ".join(
        f[key]
        for key in ("journal", "booktitle", "institution", "publisher", "howpublished", "volume", "pages")
        if key in f
    )
    link = f" [doi:{f['doi']}](https://doi.org/{quote(f['doi'])})" if "doi" in f else ""
    mark = "" if "checked" in f else "°"
    return f"**{work.key}**{mark} {authors} ({work.year}): {f['title'].strip('{}')}. {where}.{link}"
