"""The training loop: seeds, one-cycle schedule, weight averaging, early stop, checkpoints, exact resume."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pipeline_lib.errors import ModelError
from pipeline_lib.nn.batches import Ahead, Batch, BatchSource
from pipeline_lib.nn.checkpoint import optimiser_tensors, read_tensors, restore_optimiser, write_tensors
from pipeline_lib.options.train import ScheduleOptions

CHECKPOINT = "checkpoint.safetensors"


class Objective(Protocol):
    """What to minimise."""

    def extras(self) -> nn.Module | None:
        """Layers that are trained along and thrown away (adapters, discriminators)."""
        ...

    def frozen(self) -> nn.Module | None:
        """A network that is looked at and does not learn (a teacher)."""
        ...

    def terms(self, network: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        """Named terms; their sum is the loss.

        ``batch`` holds images (chip, band, y, x) and labels (chip, y, x); ``step`` counts from 0. Terms are scalars.
        """
        ...


@dataclass(frozen=True)
class Progress:
    """One validation, as reported."""

    stage: str
    step: int
    steps: int
    loss: dict[str, float]
    score: float | None
    best: float | None


Report = Callable[[Progress], None]
Validate = Callable[[nn.Module], float]


@dataclass
class _State:
    """Everything a resumed run needs, beside the weights."""

    step: int = 0
    best: float = -math.inf
    best_step: int = 0
    stale: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    running: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class FitResult:
    """What a run left: the network has the best averaged weights."""

    best: float | None
    best_step: int
    steps: int
    history: list[dict[str, Any]]


def learning_rate(step: int, schedule: ScheduleOptions) -> float:
    """One cycle: linear warm-up over the first tenth, then half a cosine to zero."""
    warm = max(schedule.steps // 10, 1)
    if step < warm:
        return schedule.learning_rate * (step + 1) / warm
    share = (step - warm) / max(schedule.steps - warm, 1)
    return schedule.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


class Fit:
    """One network being trained; `run` continues from the checkpoint in ``folder`` if there is one.

    Step k draws its batch, its dropout and its augmentation from (seed, k) alone, so that a run that was killed and
    resumed ends with the same bits as one that was not; on a GPU with the same but for rounding.
    """

    def __init__(
        self,
        network: nn.Module,
        source: BatchSource,
        objective: Objective,
        schedule: ScheduleOptions,
        *,
        seed: int,
        stage: str = "train",
        key: str = "",
        device: str = "cpu",
    ) -> None:
        """Put everything onto the device.

        Args:
            network: what learns; it ends on the CPU, whatever the device.
            source: gives batches.
            objective: what to minimise.
            schedule: how long, how fast, how precise.
            seed: draws everything.
            stage: its name, for reports and errors.
            key: digest of all that decides the result: a checkpoint of another key is refused.
            device: torch's name, ``cpu`` or ``cuda``.
        """
        self.device = device
        self.network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network)
        self.best = copy.deepcopy(self.network)
        self.source, self.objective, self.schedule = source, objective, schedule
        self.seed, self.stage, self.key = seed, stage, key
        extras = objective.extras()
        self.trained = nn.ModuleList([self.network, *([extras.to(device)] if extras is not None else [])])
        frozen = objective.frozen()
        self.frozen = None if frozen is None else frozen.to(device)
        self.optimiser = torch.optim.AdamW(
            self.trained.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        self.state = _State()

    def run(
        self, folder: Path | None = None, validate: Validate | None = None, report: Report | None = None
    ) -> FitResult:
        """Train to the end (or the early stop); leaves the best averaged weights in ``network``."""
        torch.set_num_threads(self.schedule.threads)
        if folder is not None and (folder / CHECKPOINT).is_file():
            self._restore(folder / CHECKPOINT)
        ahead = Ahead(self.source, self.device, self.schedule.steps) if self.device != "cpu" else None
        try:
            self._train(ahead or self.source, folder, validate, report)
        finally:
            if ahead is not None:
                ahead.close()
            for module in (self.trained, self.frozen):
                if module is not None:
                    module.to("cpu")
        best = self.state.best if validate is not None else None
        return FitResult(best, self.state.best_step, self.state.step, self.state.history)

    def _train(
        self, source: BatchSource, folder: Path | None, validate: Validate | None, report: Report | None
    ) -> None:
        """All steps that are left, and the best weights into the network."""
        while self.state.step < self.schedule.steps and not self._patience_lost():
            self._step(source)
            if self.state.step % self.schedule.validate_every == 0 or self.state.step == self.schedule.steps:
                self._validate(validate, report)
                if folder is not None:
                    self._save(folder / CHECKPOINT)
        self.network.load_state_dict(self.best.state_dict())

    def _step(self, source: BatchSource) -> None:
        step = self.state.step
        torch.manual_seed(self.seed * 1_000_003 + step)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(step, self.schedule)
        self.trained.train()
        batch = source.batch(step)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.schedule.precision == "bf16"):
            terms = self.objective.terms(self.network, batch, step)
        each = torch.stack(list(terms.values()))
        values = dict(zip(terms, each.detach().tolist(), strict=True))  # at once: every question stops a GPU
        if not math.isfinite(sum(values.values())):
            raise ModelError(
                f"The loss of {self.stage} is not finite at step {step}: {values}; lower the learning rate."
            )
        self.optimiser.zero_grad(set_to_none=True)
        each.sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.trained.parameters(), 5.0)
        self.optimiser.step()
        self._follow(step)
        for name, value in values.items():
            self.state.running[name] = 0.95 * self.state.running.get(name, value) + 0.05 * value
        self.state.step += 1

    def _follow(self, step: int) -> None:
        """Exponential moving average of weights and batch statistics, with warm-up of the decay."""
        decay = min(self.schedule.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            for mine, theirs in zip(
                self.average.state_dict().values(), self.network.state_dict().values(), strict=True
            ):
                if mine.dtype.is_floating_point:
                    mine.lerp_(theirs, 1 - decay)
                else:
                    mine.copy_(theirs)

    def _validate(self, validate: Validate | None, report: Report | None) -> None:
        state, score = self.state, None
        if validate is not None:
            score = validate(self.average.eval())
            better = score > state.best
            state.stale = 0 if better else state.stale + 1
            if better:
                state.best, state.best_step = score, state.step
        if score is None or state.best_step == state.step:
            self.best.load_state_dict(self.average.state_dict())
        state.history.append({"step": state.step, "score": score, **state.running})
        if report is not None:
            best = state.best if math.isfinite(state.best) else None
            report(Progress(self.stage, state.step, self.schedule.steps, dict(state.running), score, best))

    def _patience_lost(self) -> bool:
        return bool(self.schedule.patience) and self.state.stale >= self.schedule.patience

    def _save(self, path: Path) -> None:
        tensors = {f"trained.{name}": value for name, value in self.trained.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.state_dict().items()}
        tensors |= optimiser_tensors(self.optimiser)
        facts = {**self.state.__dict__, "best": repr(self.state.best), "key": self.key}
        write_tensors(path, tensors, facts)

    def _restore(self, path: Path) -> None:
        saved = read_tensors(path)
        if saved.facts.get("key") != self.key:
            raise ModelError(
                f"{path} was left by another recipe, other data or other code; delete its folder to start afresh, "
                "or give another output."
            )
        for prefix, module in (("trained.", self.trained), ("average.", self.average), ("best.", self.best)):
            part = {name.removeprefix(prefix): t for name, t in saved.tensors.items() if name.startswith(prefix)}
            module.load_state_dict(part)
        restore_optimiser(self.optimiser, saved.tensors)
        facts = {name: value for name, value in saved.facts.items() if name != "key"}
        self.state = _State(**{**facts, "best": float(facts["best"])})
