"""Small chips and small models."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from pipeline_lib.nn.chips import ChipSet, LabelledChip, open_chips, write_chips
from pipeline_lib.nn.inputs import InputContract, sar_contract
from pipeline_lib.nn.model_card import ModelCard
from pipeline_lib.nn.model_folder import Model
from pipeline_lib.nn.model_writer import write_model
from pipeline_lib.nn.networks import build_network, coarsest_stride, halo_px
from pipeline_lib.options.train import NetworkOptions


@pytest.fixture(autouse=True)
def _same_draws_whatever_ran_before() -> None:
    """torch has one stream of numbers for a process, and which tests share a process is chance."""
    torch.manual_seed(7)


BANDS = ("grey_before", "grey", "red", "green", "blue")


def make_chip(seed: int, size: int = 64) -> LabelledChip:
    """Flood is darker than before in noisy radar and plainly visible in the optical bands."""
    rng = np.random.default_rng(seed)
    flood = ndimage.gaussian_filter(rng.normal(size=(size, size)), 5) > 0.02
    noise = rng.normal(size=(5, size, size)).astype(np.float32)
    before, after = 0.7 * noise[0] + 0.5, 0.7 * noise[1] + 0.5 - 1.6 * flood
    optical = 0.2 * noise[2:] + np.where(flood, -1, 1)[None]
    image = np.stack([before, after, *optical]).astype(np.float32)
    image[:, :2] = np.nan
    label = flood.astype(np.uint8)
    label[-2:] = 255
    return LabelledChip(chip_id=f"c{seed}", group=f"g{seed // 2}", event=f"e{seed // 4}", image=image, label=label)


@pytest.fixture(scope="session")
def chips(tmp_path_factory: pytest.TempPathFactory) -> ChipSet:
    folder = tmp_path_factory.mktemp("chips") / "set.zarr"
    write_chips(folder, (make_chip(k) for k in range(16)), BANDS, {"dataset": "made up"})
    return open_chips(folder, in_memory=True)


def make_model(folder: Path, *, contract: InputContract | None = None, onnx: bool = False, **network: object) -> Model:
    contract = contract or sar_contract(before=False)
    options = NetworkOptions.model_validate({"width": 4, "depth": 3, "head_width": 8} | network)
    torch.manual_seed(3)
    net = build_network(options, len(contract.bands))
    card = ModelCard(
        name="small",
        description="A small model for tests.",
        target="water",
        inputs=contract,
        network=options,
        halo_px=halo_px(net, len(contract.bands)),
        stride_px=coarsest_stride(net),
        scale=0.8,
        bias=-0.1,
    )
    return write_model(folder, net, card, onnx=onnx)


@pytest.fixture(scope="session", name="make_model")
def make_model_fixture() -> Callable[..., Model]:
    return make_model


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return make_model(tmp_path_factory.mktemp("models") / "small", onnx=True)
