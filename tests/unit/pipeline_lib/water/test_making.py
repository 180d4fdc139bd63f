"""A detector's answer says which detectors, options and networks it came from."""

import hashlib

import numpy as np
import pytest
from scenes import history_of, river, scene_of

from pipeline_lib.model import DetectorUsed, NetworkUsed
from pipeline_lib.nn.model_folder import load_model
from pipeline_lib.options.detect import AdaptiveOptions
from pipeline_lib.options.learned import FusedOptions, LearnedOptions
from pipeline_lib.water import Need, Observation, detector
from pipeline_lib.water.making import detected, made_by

QUICK = {"backend": "cpu", "tile_px": 128}


@pytest.fixture(scope="module")
def alone():
    return Observation(scene=scene_of(river((96, 128))))


def with_history(observation):
    return Observation(scene=observation.scene, history=history_of(np.zeros((96, 128), dtype=bool)))


def test_a_detector_without_a_network_tells_its_name_and_every_option(alone):
    used = made_by(detected(detector("adaptive", {"coupling": 2}), alone))
    assert (used.detector, used.networks, used.members) == ("adaptive", (), ())
    assert used.parameters == AdaptiveOptions(coupling=2).model_dump(mode="json")
    assert used.words == "adaptive"


@pytest.mark.parametrize("name", ["fused", "learned"])
def test_the_network_is_the_one_that_a_pass_with_or_without_references_was_shown(name, alone):
    for observation, wanted in ((alone, "shipped_post_event"), (with_history(alone), "shipped_pre_post_event")):
        used = made_by(detected(detector(name, QUICK), observation))
        (network,) = used.all_networks
        model = load_model(wanted)
        assert (network.name, network.backend, network.threshold) == (wanted, "torch-cpu", model.card.threshold)
        files = {file: hashlib.sha256((model.folder / file).read_bytes()).hexdigest() for file in network.digests}
        assert network.digests == files
        assert next(iter(files)) == "weights.safetensors"
        options = FusedOptions if name == "fused" else LearnedOptions
        assert used.parameters == options.model_validate(QUICK).model_dump(mode="json")
    assert used.words == f"{name} with {wanted} (weights {files['weights.safetensors'][:8]}, torch-cpu)"


def test_a_network_that_cannot_read_the_pass_had_no_say(alone):
    used = made_by(detected(detector("fused", QUICK), Observation(scene=alone.scene[["vh"]])))
    assert used.all_networks == ()
    assert [member.detector for member in used.members] == ["adaptive"]


def test_models_that_were_averaged_are_told_each_once(alone):
    options = QUICK | {"model": "shipped_post_event", "members": ["shipped_pre_post_event"], "threshold": 0.4}
    used = made_by(detected(detector("learned", options), with_history(alone)))
    assert [one.name for one in used.networks] == ["shipped_post_event", "shipped_pre_post_event"]
    assert {one.threshold for one in used.networks} == {0.4}


def test_an_ensemble_tells_of_the_members_that_delivered_and_their_networks(alone):
    given = {"members": ("otsu", "tuw-bayes", "learned"), "parameters": {"learned": QUICK}}
    used = made_by(detected(detector("ensemble", given), alone))
    assert [member.detector for member in used.members] == ["otsu", "learned"]
    assert used.networks == ()
    assert [one.name for one in used.all_networks] == ["shipped_post_event"]
    assert used.members[1].parameters == LearnedOptions.model_validate(QUICK).model_dump(mode="json")


@pytest.mark.parametrize(("members", "needs"), [(("otsu", "learned"), {Need.MODEL}), (("otsu", "z-score"), set())])
def test_an_ensemble_needs_a_model_where_a_member_has_one(members, needs):
    assert detector("ensemble", {"members": members}).needs == needs


def test_a_warning_of_any_member_is_one_of_the_ensemble(alone, monkeypatch):
    monkeypatch.setattr("pipeline_lib.nn.segmenter.Segmenter.out_of_distribution", lambda *_: ("strange",))
    given = {"members": ("otsu", "learned"), "parameters": {"learned": QUICK}}
    assert detected(detector("ensemble", given), alone).attrs["advisory"] == 8


def test_workers_with_a_gpu_ran_what_was_left_to_choose():
    network = NetworkUsed(name="n", digests={"weights.safetensors": "0" * 64}, threshold=0.5, backend="openvino")
    free = DetectorUsed(detector="learned", parameters={"backend": "auto"}, networks=(network,))
    fixed = DetectorUsed(detector="learned", parameters={"backend": "openvino"}, networks=(network,))
    both = DetectorUsed(detector="ensemble", parameters={}, members=(free, fixed)).run_by("torch-cuda")
    assert [one.networks[0].backend for one in both.members] == ["torch-cuda", "openvino"]


def test_what_is_published_names_no_folder_of_this_machine(alone):
    given = {"members": ("learned",), "parameters": {"learned": QUICK}}
    used = made_by(detected(detector("ensemble", given), alone))
    assert used.all_networks[0].folder
    assert used.without_folders == DetectorUsed.model_validate(used.without_folders.model_dump(mode="json"))
    assert "folder" not in str(used.without_folders.model_dump(mode="json", exclude_defaults=True))
