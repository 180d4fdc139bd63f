"""Reference of the Python API: one page a package, filled from the docstrings when the site is built."""

from pathlib import Path

OPTIONS = """    options:
      heading_level: {level}
      show_root_heading: true
      show_root_full_path: true
      members_order: source"""


def packages(root: Path) -> dict[str, list[str]]:
    """Dotted names of the modules of every package or module directly under the library."""
    found: dict[str, list[str]] = {}
    for path in sorted(root.iterdir()):
        if path.suffix == ".py" and path.stem != "__init__":
            found[path.stem] = [f"{root.name}.{path.stem}"]
        elif (path / "__init__.py").is_file():
            modules = sorted(path.rglob("*.py"))
            names = [".".join(one.relative_to(root.parent).with_suffix("").parts) for one in modules]
            found[path.name] = sorted(name.removesuffix(".__init__") for name in names)
    return found


def pages(root: Path) -> dict[str, str]:
    """File name to markdown, `index.md` among them."""
    found = packages(root)
    written = {f"{name}.md": _page(name, modules) for name, modules in found.items()}
    lines = [
        "# Python API\n",
        (
            "Everything under `pipeline_lib` works on xarray objects and files, without Prefect; see "
            "[the examples](../../examples/index.md). Layers from low to high: `errors`, `options`, `model`, "
            "`catalog | grid | store`, `sar`, `load`, `optical | terrain`, `segmentation`, `nn`, `water | evaluate`, "
            "`flood | datasets | watch`, `publish`, `world`, `steps`. A module imports only from layers below its own.\n"
        ),
        *(f"- [`pipeline_lib.{name}`]({name}.md)" for name in found),
        "",
    ]
    return {**written, "index.md": "\n".join(lines)}


def _page(name: str, modules: list[str]) -> str:
    blocks = [f"::: {module}\n{OPTIONS.format(level=2)}\n" for module in modules]
    return "\n".join([f"# pipeline_lib.{name}\n", *blocks])
