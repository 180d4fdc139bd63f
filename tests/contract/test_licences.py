"""Every file of others is named with its origin, licence and digest; nothing binary is there without a word."""

import hashlib
import re
import subprocess

import pytest

ROW = re.compile(r"^\| `([^`]+)` \|.*\| ([^|]+) \| `([0-9a-f]{64})` \|$", re.MULTILINE)
OWN = ("pipeline_lib/nn/weights/", "docs/images/", "docs/examples/")
"""Made here: NOTICE.md says so of the folder."""
THIRD_PARTY = re.compile(rb"@license|@preserve|\(c\) (?:19|20)\d\d|Copyright", re.IGNORECASE)


@pytest.fixture(scope="module")
def notice(repository):
    return {path: (licence, digest) for path, licence, digest in ROW.findall((repository / "NOTICE.md").read_text())}


def tracked(repository):
    if not (repository / ".git").exists():
        pytest.skip("not a git checkout: what is tracked cannot be told")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=repository, check=True, capture_output=True, text=True)
    return [name for name in listed.stdout.split("\0") if name and (repository / name).is_file()]


def test_what_is_named_is_what_is_there(repository, notice):
    assert notice
    for path, (licence, digest) in notice.items():
        assert licence.strip()
        assert hashlib.sha256((repository / path).read_bytes()).hexdigest() == digest, path
        for named in re.findall(r"`([^`]*LICENSE)`", licence):
            assert (repository / named).is_file()


def test_every_binary_and_every_script_of_others_is_named(repository, notice):
    unnamed = []
    for name in tracked(repository):
        content = (repository / name).read_bytes()[:200_000]
        is_script = name.endswith((".js", ".css")) and THIRD_PARTY.search(content)
        if (b"\0" in content or is_script) and name not in notice and not name.startswith(OWN):
            unnamed.append(name)
    assert not unnamed, f"name origin, licence and digest in NOTICE.md: {unnamed}"


def test_the_wheel_carries_the_licences(repository):
    project = (repository / "pyproject.toml").read_text()
    own = '"LICENSE", "NOTICE.md", "pipeline_lib/place/LICENSE", "pipeline_lib/publish/page/leaflet/LICENSE"'
    assert f"license-files = [{own}]" in project
