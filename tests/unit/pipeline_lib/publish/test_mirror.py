"""The mirror: readers of it see a whole version at every moment, whatever happens to who writes it."""

import json
import os
import posixpath
import shutil
import signal
import subprocess
import sys
import uuid
from types import SimpleNamespace

import fsspec
import pytest
from s3fs import S3FileSystem
from typer.testing import CliRunner

from flows.cli import build_app
from pipeline_lib.errors import InputError, MirrorError, StoreError
from pipeline_lib.publish import upload, versions
from pipeline_lib.publish.publication import publish
from pipeline_lib.steps import mirror as module
from pipeline_lib.steps.events import export_event, retract_event
from pipeline_lib.steps.mirror import follow, mirror_of, set_mirror


@pytest.fixture
def out(published, tmp_path, monkeypatch):
    """A folder of events of its own, with one event in two versions."""
    monkeypatch.delenv(module.MIRROR_VARIABLE, raising=False)
    return shutil.copytree(published.parent, tmp_path / "events", symlinks=True)


@pytest.fixture
def there():
    """URL of a mirror that costs nothing."""
    return f"memory://{uuid.uuid4().hex}/floods"


def reader(to):
    """Everything in the mirror by its path, as it is now."""
    filesystem, root = fsspec.core.url_to_fs(to, use_listings_cache=False)
    return SimpleNamespace(
        names={name.partition(f"{root}/")[2] for name in filesystem.find(root)},
        read=lambda name: filesystem.cat_file(f"{root}/{name}"),
    )


def dangling(to):
    """What a reader is led to and does not find, from the catalogue and from every event, down to the last asset."""
    seen = reader(to)
    entries = ["catalog.json"] if "catalog.json" in seen.names else []
    entries += [name for name in seen.names if name.endswith("/collection.json") and name.count("/") == 1]
    missing, looked = [], set()
    while entries:
        name = entries.pop()
        if name in looked:
            continue
        looked.add(name)
        if name not in seen.names:
            missing.append(name)
            continue
        document = json.loads(seen.read(name))
        led = [link["href"] for link in document.get("links", ())] + [
            one["href"] for one in document.get("assets", {}).values()
        ]
        for href in (href for href in led if "://" not in href):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), href))
            if target.endswith(".json"):
                entries.append(target)
            elif target not in seen.names:
                missing.append(target)
    return missing


def current(to):
    """The version that readers of the mirror's event are led to; 0 where there is none."""
    seen = reader(to)
    name = "river-2024/collection.json"
    return int(json.loads(seen.read(name))["version"]) if name in seen.names else 0


def assert_whole(out, to):
    """The mirror is what is published, byte for byte."""
    seen, folder = reader(to), out / "river-2024"
    files = {path.relative_to(out).as_posix(): path for path in (folder / "versions").rglob("*") if path.is_file()}
    files |= {name: out / name for name in ("catalog.json", "index.html")}
    files |= {f"river-2024/{name}": folder / name for name in versions.TOP_LINKS}
    files = {name: path for name, path in files.items() if "/top/" not in name}
    assert seen.names == set(files)
    assert [name for name, path in files.items() if seen.read(name) != path.read_bytes()] == []
    assert dangling(to) == []


def test_every_version_goes_to_a_bucket_once_and_what_is_shared_is_not_sent_again(out, bucket, monkeypatch):
    asked, call = [], S3FileSystem._call_s3

    async def counted(self, method, *arguments, **options):
        asked.append(method)
        return await call(self, method, *arguments, **options)

    monkeypatch.setattr(S3FileSystem, "_call_s3", counted)
    to = f"{bucket}/floods"
    set_mirror(out, to)
    followed = follow(out)
    assert followed.problems == {}
    assert [line.split(":")[0] for line in followed.copied] == ["river-2024 version 1", "river-2024 version 2"]
    assert_whole(out, to)
    assert asked.count("copy_object") > 10, "rasters of passes that did not change are copied inside the bucket"
    asked.clear()
    assert follow(out).copied == ()
    assert asked == [], "nothing is asked where nothing was published"
    retract_event(out, "river-2024", "It was a rice field.")
    assert [line.split(":")[0] for line in follow(out, "river-2024").copied] == ["river-2024 version 3"]
    assert asked.count("copy_object") > asked.count("put_object")
    assert_whole(out, to)


def test_a_reader_at_every_moment_and_a_writer_killed_again_and_again(out, there, monkeypatch):
    """The process ends after every third file; readers look before and after every single one."""
    put, rounds, seen = upload.put_file, 0, {0}

    class Killed(BaseException):
        pass

    def watched(filesystem, source, path):
        assert dangling(there) == []
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        put(filesystem, source, path)
        assert dangling(there) == []
        seen.add(current(there))

    monkeypatch.setattr(upload, "put_file", watched)
    monkeypatch.setattr(module, "put_file", watched)
    monkeypatch.setattr(upload, "AT_ONCE", 1)
    set_mirror(out, there)
    while True:
        left, rounds = [3], rounds + 1
        try:
            assert follow(out).problems == {}
            break
        except Killed:
            continue
    assert rounds > 10
    assert seen == {0, 2}, "readers were led to the current version alone"
    assert_whole(out, there)


@pytest.mark.slow
def test_sigkill_between_two_objects_of_a_bucket(out, bucket):
    to = f"{bucket}/floods"
    set_mirror(out, to)
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom pipeline_lib.publish import upload\n"
        "from pipeline_lib.steps.mirror import follow\nput, left = upload.put_file, [int(sys.argv[2])]\n"
        "def struck(*given):\n    left[0] -= 1\n    if left[0] < 0:\n        os.kill(os.getpid(), signal.SIGKILL)\n    put(*given)\n"
        "upload.put_file = struck\nfollow(Path(sys.argv[1]))\n"
    )
    for after in (5, 60):
        ended = subprocess.run([sys.executable, "-c", code, str(out), str(after)], check=False, env=os.environ)
        assert ended.returncode == -signal.SIGKILL
        assert dangling(to) == []
    assert follow(out).problems == {}
    assert_whole(out, to)


def test_a_mirror_that_fails_undoes_nothing_and_is_made_up_for(out, bucket, there):
    set_mirror(out, "s3://no-such-bucket-7/floods")
    followed = follow(out)
    assert "river-2024" in followed.problems
    with pytest.raises(MirrorError, match=r"no-such-bucket-7/floods is behind.*What is published stays") as said:
        followed.need_whole()
    assert said.value.exit_code == 11
    assert versions.current_version(out / "river-2024") == 2
    run = CliRunner().invoke
    assert isinstance(run(build_app(), ["events", "mirror", "--out", str(out)]).exception, MirrorError)
    assert run(build_app(), ["events", "mirror", there, "--out", str(out)]).exit_code == 0
    assert_whole(out, there)


def test_a_retraction_reaches_the_mirror(out, there):
    run = CliRunner().invoke
    assert run(build_app(), ["events", "mirror", there, "--out", str(out)]).exit_code == 0
    asked = ["events", "retract", "river-2024", "--reason", "It was a rice field.", "--out", str(out)]
    assert run(build_app(), asked).exit_code == 0
    assert current(there) == 3
    assert json.loads(reader(there).read("river-2024/collection.json"))["deprecated"] is True
    assert b"rice field" in reader(there).read("river-2024/index.html")
    assert_whole(out, there)


def test_what_was_damaged_is_found_by_reading_back_and_mended(out, there):
    set_mirror(out, there)
    follow(out)
    filesystem, root = fsspec.core.url_to_fs(there)
    raster = f"{root}/river-2024/versions/0001/event/flood_extent.tif"
    whole = filesystem.cat_file(raster)
    filesystem.pipe_file(raster, bytes(len(whole)))
    filesystem.rm_file(f"{root}/river-2024/versions/0002/plan.json")
    assert follow(out).copied == (), "it trusts its note"
    assert len(follow(out, check=True).copied) == 2
    assert_whole(out, there)


def test_another_publication_is_not_overwritten(out, there, flood, tmp_path):
    set_mirror(out, there)
    follow(out)
    other = tmp_path / "other"
    publish(flood.publication(1, software="overbank 9"), other)
    set_mirror(other, there)
    assert "holds something else" in follow(other).problems["river-2024"]
    with pytest.raises(StoreError, match="holds something else"):
        export_event(other, "river-2024", f"{there}/river-2024/versions/0001")
    assert_whole(out, there)


def test_a_folder_is_a_mirror_too_and_where_it_lies_is_remembered(out, tmp_path, monkeypatch):
    assert follow(out) is None
    assert mirror_of(out) is None
    set_mirror(out, str(tmp_path / "copy"))
    follow(out)
    assert_whole(out, str(tmp_path / "copy"))
    monkeypatch.setenv(module.MIRROR_VARIABLE, str(tmp_path / "second"))
    follow(out)
    assert_whole(out, str(tmp_path / "second"))
    monkeypatch.delenv(module.MIRROR_VARIABLE)
    set_mirror(out, None)
    assert follow(out) is None
    with pytest.raises(InputError, match="folder of events itself"):
        set_mirror(out, str(out / "copy"))
    with pytest.raises(InputError, match="in the environment") as said:
        set_mirror(out, "s3://user:hidden@bucket/x")
    assert "hidden" not in str(said.value)
    module._note(out).write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        mirror_of(out)


def test_of_two_that_copy_one_waits_and_says_so(out, there, monkeypatch):
    set_mirror(out, there)
    monkeypatch.setattr(module, "WAIT_S", 0.0)
    with versions.alone(module._lock(out), "copying to the mirror", 0.0):
        assert "Another process is copying" in follow(out).problems["river-2024"]
    assert follow(out).problems == {}


def test_a_retraction_while_the_mirror_is_away_is_copied_later(out, there):
    set_mirror(out, there)
    follow(out)
    number = retract_event(out, "river-2024", "It was a rice field.")
    assert current(there) == number - 1
    assert [line.split(":")[0] for line in follow(out).copied] == ["river-2024 version 3"]
    assert_whole(out, there)
