"""The documentation: links lead somewhere, pages are found, sources are cited, notebooks are whole and small."""

import importlib
import json
import re
import sys

import pytest
import yaml

LINK = re.compile(r"\]\(([^)\s]+)\)")
GENERATED = {
    *("commands.md", "options.md", "sources.md", "structure.md"),
    *("changelog.md", "contributing.md", "security.md", "code-of-conduct.md"),
}
NOTEBOOKS = ("event", "real_chips", "training")


@pytest.fixture
def site(repository, monkeypatch):
    """The modules that generate pages, by name."""
    monkeypatch.syspath_prepend(str(repository / "docs" / "site"))
    yield importlib.import_module
    for name in ("stage", "commands", "options", "sources", "structure", "library", "notebooks"):
        sys.modules.pop(name, None)


def written_pages(repository):
    pages = [repository / "README.md", repository / "CONTRIBUTING.md", *(repository / "docs").rglob("*.md")]
    return [page for page in pages if page.name != "AGENTS.md"]


def is_generated(target):
    """Pages that exist only once the site is staged."""
    generated = {f"{name}.md" for name in NOTEBOOKS}
    return target.parent.name == "python" or target.name in GENERATED | generated


def test_every_link_leads_to_a_file(repository):
    broken = []
    for page in written_pages(repository):
        for link in LINK.findall(page.read_text()):
            path = link.split("#")[0]
            if "://" in link or link.startswith("mailto:") or not path:
                continue
            target = (page.parent / path).resolve()
            if not target.exists() and not is_generated(target):
                broken.append(f"{page.relative_to(repository)}: {link}")
    assert not broken


def test_the_navigation_names_every_page_and_no_other(repository):
    def pages(entry):
        if isinstance(entry, str):
            yield entry
        for inner in entry if isinstance(entry, list) else entry.values() if isinstance(entry, dict) else ():
            yield from pages(inner)

    listed = set(pages(yaml.safe_load((repository / "mkdocs.yml").read_text())["nav"]))
    docs = repository / "docs"
    written = {str(page.relative_to(docs)) for page in docs.rglob("*.md")}
    assert written <= listed, f"add to nav in mkdocs.yml: {sorted(written - listed)}"
    assert all(is_generated(docs / page) for page in listed - written), "a page of the navigation is not there"


def test_nothing_is_fetched_when_a_page_is_read(repository):
    site = yaml.safe_load((repository / "mkdocs.yml").read_text())
    assert site["theme"]["font"] is False
    assert "repo_url" not in site, "with it every page asks the forge for stars and releases"


def test_the_reference_names_every_command_and_option(site):
    commands = site("commands").page()
    for name in ("overbank map", "overbank watch add", "overbank events retract"):
        assert f"`{name}`" in commands
    options = site("options").page()
    for field in ("max_references", "min_ashman_d", "minimum", "detector_options"):
        assert field in options or field == "minimum"
    assert "](#planoptions)" in options
    assert "### PlanOptions" in options


def test_the_structure_is_drawn_from_the_imports(site, repository):
    structure = site("structure")
    pairs = structure.arrows()
    assert ("water", "model") in pairs
    assert not any(used == "flows" for _, used in pairs)
    drawn = structure.direct(pairs)
    assert ("flows", "tasks") in drawn
    assert ("flows", "errors") not in drawn, "a longer way implies it"
    found = structure.page(repository)
    assert all(f">{name} (" in found["structure.svg"] for row in structure.rows(repository) for name in row)
    assert found["structure.svg"].count("marker-end") == len(drawn)


def test_every_cited_work_is_in_the_bibliography(site, repository):
    sources = site("sources")
    known = sources.works(repository / "docs" / "references.bib")
    assert len({work.key for work in known}) == len(known)
    missing = []
    for source in sources.sources(repository / "pipeline_lib"):
        # A DOI or a report's number may hold something that looks like a year.
        text = re.sub(r"doi:\S+|arXiv \S+|[A-Z]+[.-]\d[\w.-]+", "", source.text)
        years = set(re.findall(r"\b(?:19[4-9]\d|20[0-2]\d)\b", text))
        found = {work.year for work in sources.cited(source.text, known)}
        missing += [f"{source.name}: {year} in {text!r}" for year in years - found]
    assert not missing


def test_every_work_of_the_bibliography_is_cited(site, repository):
    sources = site("sources")
    files = [*(repository / "pipeline_lib").rglob("*.py"), *written_pages(repository)]
    text = "; ".join(" ".join(path.read_text().split()) for path in files)
    known = sources.works(repository / "docs" / "references.bib")
    found = {work.key for work in sources.cited(text, known)}
    assert {work.key for work in known} == found


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_was_run_from_top_to_bottom_and_is_small(repository, name):
    path = repository / "docs" / "examples" / f"{name}.ipynb"
    assert path.stat().st_size < 1_000_000
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert outputs
    assert all(output["output_type"] != "error" for output in outputs)


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs(repository, name, request, monkeypatch, capsys):
    """Cell by cell as plain Python: what a reader copies works with the library of today."""
    pytest.importorskip("matplotlib").use("Agg")
    import matplotlib.pyplot as plt

    if name == "real_chips":
        monkeypatch.setenv("OVERBANK_REAL_DATA", str(request.getfixturevalue("real_data")))
    cells = json.loads((repository / "docs" / "examples" / f"{name}.ipynb").read_text())["cells"]
    names = {"__name__": "__main__"}
    try:
        for cell in cells:
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), f"{name}.ipynb", "exec"), names)  # noqa: S102 - our own notebook
    finally:
        plt.close("all")
    assert "IoU" in capsys.readouterr().out or name == "training"
