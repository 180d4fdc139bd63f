"""What each way of learning minimises, from the losses of this package."""

from typing import cast

import torch
from torch import Tensor, nn

from pipeline_lib.nn.batches import Batch
from pipeline_lib.nn.distillation import FeatureDistiller, channel_wise, dist_intra, gate, logit_distillation
from pipeline_lib.nn.festa import festa
from pipeline_lib.nn.losses import soft_dice, supervised, water_logit
from pipeline_lib.nn.pspnet import PSPNet
from pipeline_lib.nn.unet import UNet
from pipeline_lib.nn.unpaired import OutputDiscriminator, prototype_alignment, prototypes
from pipeline_lib.options.train import DistillOptions, LossOptions, SparseOptions


class Supervised:
    """Labels alone; the batch's ``border`` weights the cross-entropy where given."""

    def __init__(self, loss: LossOptions) -> None:
        """Which terms."""
        self.loss = loss

    def extras(self) -> nn.Module | None:
        """None."""
        return None

    def frozen(self) -> nn.Module | None:
        """None."""
        return None

    def terms(self, network: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:  # noqa: ARG002
        """Supervised terms, and PSPNet's deep supervision."""
        terms = supervised(network(batch["image"]), batch["label"], self.loss, batch.get("border"))
        if isinstance(network, PSPNet):
            side = supervised(network.auxiliary(batch["image"]), batch["label"], self.loss)
            terms["auxiliary"] = network.auxiliary_weight * torch.stack(list(side.values())).sum()
        return terms


class Sparse(Supervised):
    """A few labelled pixels, and FESTA on all."""

    def __init__(self, loss: LossOptions, options: SparseOptions, seed: int) -> None:
        """The seed draws FESTA's pixels."""
        super().__init__(loss)
        self.options, self.seed = options, seed

    def terms(self, network: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        """Supervised terms on the labelled pixels and the relation term on the map before the classifier."""
        unet = cast("UNet", network)
        features = unet.features(batch["image"])
        terms = supervised(unet.head(features), batch["label"], self.loss)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        return {**terms, "festa": self.options.weight * festa(features, self.options, generator)}


class Distillation(Supervised):
    """Labels where there are any, and the teacher's opinion where its gate is open.

    The batch brings ``teacher_odds`` (log-odds of the out-of-fold teacher, NaN = none), ``clear`` and ``lag_days``
    where known; feature terms need ``teacher`` (the teacher's own bands) and ``feature_teacher``.
    """

    def __init__(
        self, loss: LossOptions, options: DistillOptions, steps: int, feature_teacher: nn.Module | None = None
    ) -> None:
        """``feature_teacher`` is frozen; its encoder must have as many levels as the student's."""
        super().__init__(loss)
        self.options, self.steps, self.feature_teacher = options, steps, feature_teacher
        self.distiller: nn.Module | None = None
        if feature_teacher is not None:
            feature_teacher.eval().requires_grad_(requires_grad=False)

    def prepare(self, network: nn.Module) -> None:
        """Make the adapters for this student, before training starts."""
        if self.feature_teacher is None:
            return
        student = cast("UNet", network).encoder.channels
        teacher = cast("UNet", self.feature_teacher).encoder.channels
        if self.options.heterogeneous:
            self.distiller = FeatureDistiller(student[1:], teacher[1:])
        elif self.options.channel_wise:
            mine, theirs = (cast("UNet", net).feature_channels for net in (network, self.feature_teacher))
            self.distiller = nn.Conv2d(mine, theirs, 1)

    def extras(self) -> nn.Module | None:
        """The adapters."""
        return self.distiller

    def frozen(self) -> nn.Module | None:
        """The teacher whose features are looked at."""
        return self.feature_teacher

    def terms(self, network: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        """Supervised and distillation terms; the latter ramp up over the first fifth of the run."""
        unet = cast("UNet", network)
        features = unet.features(batch["image"])
        logits = unet.head(features)
        terms = supervised(logits, batch["label"], self.loss)
        ramp = min(1.0, (step + 1) / (0.2 * self.steps))
        probability = torch.sigmoid(batch["teacher_odds"])
        weight = gate(
            probability,
            confidence=self.options.confidence,
            clear=batch.get("clear"),
            lag_days=batch.get("lag_days"),
            max_lag_days=self.options.max_lag_days,
        )
        target = torch.nan_to_num(batch["teacher_odds"])
        odds = water_logit(logits)
        for name, value in self._logit_terms(odds, target, weight).items():
            terms[name] = ramp * value
        if self.distiller is not None:
            terms["features"] = ramp * self._feature_term(unet, batch, features, weight)
        return terms

    def _logit_terms(self, odds: Tensor, target: Tensor, weight: Tensor) -> dict[str, Tensor]:
        options, terms = self.options, {}
        if options.logit:
            terms["logit"] = options.logit * logit_distillation(odds, target, weight, options.temperature)
        if options.soft_dice:
            terms["soft_dice"] = options.soft_dice * soft_dice(torch.sigmoid(odds), torch.sigmoid(target), weight)
        if options.dist_intra:
            terms["dist"] = options.dist_intra * dist_intra(torch.sigmoid(odds), torch.sigmoid(target), weight)
        return terms

    def _feature_term(self, student: UNet, batch: Batch, features: Tensor, weight: Tensor) -> Tensor:
        teacher, distiller = cast("UNet", self.feature_teacher), cast("nn.Module", self.distiller)
        with torch.no_grad():
            theirs = teacher.encoder(batch["teacher"]) if self.options.heterogeneous else None
            goal = teacher.features(batch["teacher"]) if theirs is None else None
        if theirs is not None:
            mine = student.encoder(batch["image"])
            value: Tensor = distiller(mine[1:], theirs[1:], weight)
            return self.options.heterogeneous * value
        return self.options.channel_wise * channel_wise(distiller(features), cast("Tensor", goal), weight)


class Unpaired(Supervised):
    """SAR patches without labels beside optical patches of other places with labels.

    The batch brings ``image`` and ``prior`` (a label prior for the SAR patches, for example from water occurrence;
    255 = none) and ``optical``, ``optical_label`` of other places. The optical net is frozen.
    """

    def __init__(
        self, loss: LossOptions, optical: nn.Module, *, prototype: float = 1.0, adversarial: float = 0.05
    ) -> None:
        """Weights of the two alignments."""
        super().__init__(loss)
        self.optical = optical.eval().requires_grad_(requires_grad=False)
        self.prototype, self.adversarial = prototype, adversarial
        self.discriminator = OutputDiscriminator()
        self.adapter: nn.Module | None = None

    def prepare(self, network: nn.Module) -> None:
        """Make the layer that brings SAR features to the optical net's channels."""
        mine, theirs = (cast("UNet", net).feature_channels for net in (network, self.optical))
        self.adapter = nn.Conv2d(mine, theirs, 1)

    def extras(self) -> nn.Module | None:
        """Adapter and discriminator."""
        return nn.ModuleList([self.discriminator, *([self.adapter] if self.adapter is not None else [])])

    def frozen(self) -> nn.Module | None:
        """The optical net."""
        return self.optical

    def terms(self, network: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:  # noqa: ARG002
        """Prior labels, prototype alignment and the adversary on water maps."""
        unet, optical = cast("UNet", network), cast("UNet", self.optical)
        features = unet.features(batch["image"])
        logits = unet.head(features)
        terms = supervised(logits, batch["label"], self.loss)
        probability = torch.sigmoid(water_logit(logits))
        with torch.no_grad():
            goal = optical.features(batch["teacher"])
            seen = torch.sigmoid(water_logit(optical.head(goal)))
        adapted = cast("nn.Module", self.adapter)(features)
        everywhere = torch.ones_like(probability)
        ours = prototypes(adapted, probability.detach(), everywhere)
        theirs = prototypes(goal, seen, torch.ones_like(seen))
        terms["prototype"] = self.prototype * prototype_alignment(ours, theirs)
        terms["adversary"] = self.adversarial * self.discriminator(seen, probability, 1.0)
        return terms
