"""``overbank world build`` as typed."""

from typer.testing import CliRunner

from flows.cli import build_app
from pipeline_lib.world.truth import truth_scenes


def test_world_build_prints_the_folder_and_repeats_at_once(tmp_path):
    command = ["world", "build", str(tmp_path / "world"), "--seed", "4", "--size", "128"]
    for _ in range(2):
        result = CliRunner().invoke(build_app(), command, catch_exceptions=False)
        assert result.exit_code == 0
        assert result.stdout.strip().endswith("world")
    assert len(truth_scenes(tmp_path / "world")) == 18
