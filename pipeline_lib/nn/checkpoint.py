"""Checkpoints: tensors in safetensors, everything else in its JSON header; never a pickle.

A checkpoint is written beside its place and renamed: a run killed while writing leaves the previous one whole.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from pipeline_lib.atomic import whole_file
from pipeline_lib.errors import ModelError
from pipeline_lib.nn.pickle_check import refuse_pickle


@dataclass
class Checkpoint:
    """State of a training run."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any] = field(default_factory=dict)


def write_tensors(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any] | None = None) -> None:
    """Write tensors and JSON facts atomically.

    Raises:
        StoreError: the file cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with whole_file(path, SafetensorError) as partial:
        save_file(plain, str(partial), metadata={"facts": json.dumps(facts or {}, sort_keys=True)})


def read_tensors(path: Path) -> Checkpoint:
    """Read what `write_tensors` wrote.

    Raises:
        ModelError: missing, truncated, or not safetensors: a pickle is named as such and never opened.
    """
    if not path.is_file():
        raise ModelError(f"There are no weights at {path}.")
    refuse_pickle(path)
    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            facts = json.loads((file.metadata() or {}).get("facts", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged or not safetensors ({error}).") from error
    return Checkpoint(tensors=tensors, facts=facts)


def load_weights(network: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Put weights into a network, all of them and nothing else.

    Raises:
        ModelError: names or shapes are those of another architecture.
    """
    own = network.state_dict()
    missing, foreign = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    wrong = [name for name in own.keys() & tensors.keys() if own[name].shape != tensors[name].shape]
    if missing or foreign or wrong:
        example = (missing or foreign or wrong)[0]
        raise ModelError(
            f"The weights of {source} belong to another architecture: {len(missing)} parameters missing, "
            f"{len(foreign)} foreign, {len(wrong)} of another shape (for example {example!r})."
        )
    network.load_state_dict(tensors)


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """AdamW's moments as flat tensors."""
    state = optimiser.state_dict()["state"]
    return {
        f"optimiser.{index}.{name}": value if isinstance(value, Tensor) else torch.tensor(value)
        for index, entry in state.items()
        for name, value in entry.items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put the moments of `optimiser_tensors` back."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, index, name = key.split(".", 2)
            state.setdefault(int(index), {})[name] = value
    current = optimiser.state_dict()
    optimiser.load_state_dict({"state": state, "param_groups": current["param_groups"]})
