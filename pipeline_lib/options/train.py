"""Options of training: the recipe, and each of its parts."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline_lib.options.base import Options
from pipeline_lib.options.world import MAX_WIND_DB

Architecture = Literal["unet", "fcn32s", "fcn16s", "fcn8s", "linknet", "pspnet", "deeplabv3plus"]
EncoderName = Literal["plain", "vgg16", "resnet18", "resnet34", "resnet50"]
RecipeKind = Literal[
    "supervised",
    "weak",
    "sparse",
    "semi_supervised",
    "distillation",
    "privileged",
    "unpaired",
    "synthetic",
    "fine_tune",
    "teacher",
]
Share = Annotated[float, Field(ge=0, le=1)]


class NetworkOptions(Options):
    """Which network."""

    architecture: Architecture = "unet"
    """FCN (three forms), U-Net, LinkNet, PSPNet or DeepLabV3+."""
    encoder: EncoderName = "plain"
    """Shared encoders; ``plain`` is the U-Net's own contracting path."""
    width: int = Field(8, ge=4, le=128)
    """Channels of the encoder's first stage; 64 is the published width of each."""
    depth: int = Field(5, ge=2, le=6)
    """Levels of the plain encoder: strides 1 to ``2 ** (depth - 1)``."""
    head_width: int = Field(64, ge=8, le=4096)
    """Width of the head of FCN (published 4096), PSPNet (512) and DeepLabV3+ (256)."""
    dropout: float = Field(0.0, ge=0, le=0.9)
    """Dropout on the U-Net's coarsest map; also what Monte Carlo dropout samples."""
    pretrained: str | None = None
    """Encoder weights with torchvision's names: a safetensors file, or `timm:NAME`, `smp:ENCODER:WEIGHTS`,
    `torchgeo:NAME` (overbank[encoders]); the stem is averaged and tiled to our channels."""


class LossOptions(Options):
    """The supervised part of the loss; every term ignores pixels with label 255."""

    cross_entropy: float = Field(1.0, ge=0)
    """Weight of the (class-weighted) cross-entropy."""
    dice: float = Field(1.0, ge=0)
    """Weight of the soft Dice loss of the water class."""
    focal: float = Field(0.0, ge=0)
    """Weight of the focal loss, gamma 2."""
    water_weight: float = Field(1.0, gt=0)
    """Weight of water pixels in the cross-entropy."""
    border_weight: float = Field(0.0, ge=0)
    """w0 of the U-Net's border weight map (published 10); 0 leaves it out."""
    shift_px: int = Field(0, ge=0, le=4)
    """Tolerate a label shifted by up to this many pixels: the loss is the minimum over the shifts."""
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    """Label smoothing of the cross-entropy."""


class AugmentOptions(Options):
    """Augmentation that a radar image can really undergo."""

    dihedral: bool = True
    """Flips and quarter turns."""
    gain_db: float = Field(1.0, ge=0, le=6)
    """Standard deviation of a calibration offset per chip and band, dB (or contract units / sd for grey bands)."""
    common_db: float = Field(0.0, ge=0, le=6)
    """Standard deviation of an offset per chip that all radar bands share: another calibration, season or incidence."""
    speckle_looks: float | None = Field(12.0, ge=1)
    """Extra multiplicative gamma speckle of looks between this and four times it; None for none."""
    incidence_db: float = Field(1.0, ge=0, le=6)
    """Largest ramp across the chip, dB: what a change of incidence angle does to backscatter."""
    filter_share: Share = 0.0
    """Share of chips whose power is averaged over 3 x 3 pixels, as filtered and multilooked products are."""
    wind_share: Share = 0.0
    """Share of chips whose labelled water is roughened: brighter in the like polarisation, hardly in the cross one."""
    wind_db: tuple[float, float] = (1.0, 9.0)
    """Range the like-polarised brightening is drawn from; seas of 5 to 15 m/s are that much above calm water."""
    blank: Share = 0.1
    """Share of chips of which a strip or corner is made not observed, as at a swath's edge."""
    optical_jitter: float = Field(0.0, ge=0, le=2)
    """Standard deviation of an offset per chip and optical band, network units: pictures whose stretch is not known."""
    band_dropout: Share = 0.0
    """Share of chips of which one optional band group (VH, all optical bands) is not observed."""


class ScheduleOptions(Options):
    """How long and how fast to learn."""

    steps: int = Field(600, ge=1)
    """Optimiser steps."""
    batch: int = Field(8, ge=1)
    """Patches a step."""
    patch_px: int = Field(128, ge=32)
    """Side of a patch, pixels; a multiple of the network's coarsest stride."""
    learning_rate: float = Field(2e-3, gt=0)
    """Peak of the one-cycle schedule (linear warm-up over 10 %, cosine to zero)."""
    weight_decay: float = Field(1e-2, ge=0)
    """AdamW decoupled weight decay."""
    ema: float = Field(0.99, ge=0, lt=1)
    """Decay of the exponential moving average of the weights, which is what is validated and kept."""
    validate_every: int = Field(100, ge=1)
    """Steps between validations (and checkpoints)."""
    patience: int = Field(0, ge=0)
    """Stop after this many validations without a better pooled IoU; 0 never stops early."""
    water_share: Share = 0.5
    """Share of patches centred on a water pixel (Volpi & Tuia 2017); the others are centred on land."""
    threads: int = Field(1, ge=1)
    """Threads of the CPU."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """``bf16``: convolutions in bfloat16 while training (weights, losses and predictions stay float32)."""


class DataOptions(Options):
    """Which chips to learn from."""

    dataset: str = "ombria"
    """Name of a dataset (`overbank datasets`), ``world`` for simulated scenes, ``store`` for a chip store."""
    bands: tuple[str, ...] = ("s1_before", "s1_after")
    """Input bands of the student, in order."""
    teacher_bands: tuple[str, ...] = ()
    """Input bands of the teacher, in order; empty: no teacher."""
    labelled_share: float = Field(1.0, gt=0, le=1)
    """Largest share of the training chips whose labels may be seen (whole look-alike groups); the rest has none."""
    sparse_share: float = Field(1.0, gt=0, le=1)
    """Share of the pixels of each labelled chip whose label may be seen."""
    folds: int = Field(5, ge=2)
    """Folds over look-alike groups (or events, or seeds)."""
    test_fold: int = Field(0, ge=-1)
    """The fold kept for testing; -1 trains on every chip (no test fold: for a model to be used elsewhere)."""
    train_events: tuple[str, ...] = ()
    """Events (scenes, dates) that may be learned from; empty: all."""
    held_events: tuple[str, ...] = ()
    """Events whose chips validate and test; empty: all."""
    centre_percentile: float = Field(50.0, gt=0, lt=100)
    """Units ``grey``: the percentile of each image that becomes 0; high where most of an image may be water."""
    worlds: int = Field(8, ge=1)
    """Simulated worlds, where the dataset is ``world``."""
    world_size_px: int = Field(512, ge=128)
    """Side of a simulated world, pixels."""
    wind_share: float = Field(0.35, ge=0, le=1)
    """Share of the passes of simulated worlds on which wind roughens the water, flooded or not."""
    wind_db: tuple[float, float] | None = None
    """Brightening of VV on open water, drawn anew from this range for every windy pass; empty: one for each world."""
    extra: tuple[str, ...] = ()
    """Further datasets mixed in."""
    extra_share: float = Field(0.0, ge=0, le=1)
    """Share of the labelled patches drawn from the further datasets, each of their events equally often; they are then
    learned from whole, and validation is on ``dataset`` alone. 0: all chips are one set, by their pixels."""
    left_out: tuple[str, ...] = ()
    """Events that nothing is learned from, in no set and in no part: their chips are the test."""

    @model_validator(mode="after")
    def _test_fold_exists(self) -> "DataOptions":
        if self.test_fold >= self.folds:
            raise ValueError(f"test_fold {self.test_fold} does not exist: folds are 0 to {self.folds - 1}.")
        return self

    @model_validator(mode="after")
    def _wind_blows(self) -> "DataOptions":
        if self.wind_db is not None and not 0 <= self.wind_db[0] <= self.wind_db[1] <= MAX_WIND_DB:
            raise ValueError(f"wind_db is {self.wind_db}; expected two rising numbers of dB from 0 to {MAX_WIND_DB:g}.")
        return self


class DistillOptions(Options):
    """From teacher to student."""

    teacher: NetworkOptions = NetworkOptions(width=12)
    """The teacher's network."""
    teacher_folds: int = Field(3, ge=2)
    """Out-of-fold: the teacher that labels a chip has not seen it."""
    fold_by: Literal["group", "chip"] = "group"
    """What is not parted between the teachers' folds. ``chip``: a teacher may know the neighbours of the chip that it
    labels, as it must where optical images of other scenes tell little; test groups are unseen by all either way."""
    everywhere: bool = True
    """Half of each batch is drawn uniformly from all pairs, labelled or not; false: balanced patches of labelled chips
    alone, as without a teacher."""
    teacher_steps: int = Field(600, ge=1)
    """Optimiser steps of each teacher."""
    temperature: float = Field(2.0, gt=0)
    """T of the soft targets (Hinton et al. 2015)."""
    logit: float = Field(1.0, ge=0)
    """Weight of the logit distillation."""
    soft_dice: float = Field(0.0, ge=0)
    """Weight of a soft Dice loss against the teacher's probability."""
    channel_wise: float = Field(0.0, ge=0)
    """Weight of channel-wise distillation of features (Shu et al. 2021; published 50 on features, tau 4)."""
    dist_intra: float = Field(0.0, ge=0)
    """Weight of DIST's intra-class term (Huang et al. 2022); its inter-class term is degenerate for two classes."""
    heterogeneous: float = Field(0.0, ge=0)
    """Weight of heterogeneous feature distillation with feature alignment (after Gao & Dong 2022)."""
    confidence: float = Field(0.0, ge=0, lt=1)
    """Only pixels where the teacher's larger class probability exceeds this teach; 0 lets all teach."""
    max_lag_days: float = Field(2.0, ge=0)
    """Pairs whose optical image is further away in time do not teach."""


class SelfTrainOptions(Options):
    """Pseudo labels: the gates of Paul & Ganju 2021 and of weak labels."""

    rounds: int = Field(2, ge=1, le=6)
    """Rounds of label, gate, train."""
    members: int = Field(2, ge=1, le=5)
    """Networks in the ensemble that labels."""
    confidence: float = Field(0.9, gt=0.5, lt=1)
    """Softmax confidence a pixel must exceed (published 0.95)."""
    tile_share: Share = 0.5
    """A chip is used if more than this share of its pixels is confident (published 0.9)."""
    high: float = Field(0.7, gt=0.5, lt=1)
    """Weak labels: pseudo-water above."""
    low: float = Field(0.3, gt=0, lt=0.5)
    """Weak labels: pseudo-land below; in between is ignored."""
    tile_px: int = Field(64, ge=16)
    """Weak labels: side of the tiles that have one label each, where the set itself gives none."""
    tag_share: float = Field(0.5, gt=0, le=1)
    """Weak labels: such a tile is tagged water from this share of water pixels."""
    dry_share: float = Field(0.999, ge=0, lt=1)
    """Weak labels: pseudo-water must exceed what this share of the pixels of chips tagged dry shows, and what is below
    the share ``1 - 10 (1 - dry_share)`` of them is pseudo-land; 0: the fixed thresholds alone."""
    forced_water_share: Share = 0.1
    """Weak labels: in a chip tagged water at least this share of pixels, the most water-like, is water."""


class SparseOptions(Options):
    """FESTA (Hua et al. 2021), its neighbour term derived anew."""

    weight: float = Field(0.1, ge=0)
    """Weight of the FESTA term beside the cross-entropy (published 0.1)."""
    alpha: float = Field(0.5, ge=0)
    """Weight of the pull to the closest pixel in feature space."""
    beta: float = Field(1.5, ge=0)
    """Weight of the pull to the most similar of the 8 neighbours in the image."""
    gamma: float = Field(1.0, ge=0)
    """Weight of the push from the farthest pixel in feature space."""
    pixels: int = Field(64, ge=1)
    """Pixels drawn per patch."""


class Recipe(Options):
    """One way of learning one model: everything that decides the result, and the seed."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Short name; also the model's identifier."""
    description: str
    """What it does, for whom, and what it rests on."""
    kind: RecipeKind
    """The way of learning."""
    target: Literal["water", "flood"] = "water"
    """What the network's positive class means: all water, or flood alone."""
    units: Literal["db", "grey"] = "db"
    """``db``: calibrated backscatter; ``grey``: 8-bit images with their own stretch."""
    seed: int = Field(0, ge=0)
    """Everything random follows from it."""
    data: DataOptions = DataOptions()
    network: NetworkOptions = NetworkOptions()
    schedule: ScheduleOptions = ScheduleOptions()
    loss: LossOptions = LossOptions()
    augment: AugmentOptions = AugmentOptions()
    distill: DistillOptions = DistillOptions()
    self_train: SelfTrainOptions = SelfTrainOptions()
    sparse: SparseOptions = SparseOptions()
    threshold: float = Field(0.5, gt=0, lt=1)
    """Calibrated probability from which the model calls a pixel water; goes into its card."""
    base_model: str | None = None
    """Fine-tuning: name or folder of the model to start from."""

    @model_validator(mode="after")
    def _parts_fit(self) -> "Recipe":
        if self.kind in {"distillation", "privileged", "unpaired", "teacher"} and not self.data.teacher_bands:
            raise ValueError(f"A {self.kind} recipe needs data.teacher_bands: what the teacher sees.")
        if self.kind == "privileged" and not set(self.data.bands) < set(self.data.teacher_bands):
            raise ValueError("A privileged recipe needs data.teacher_bands that hold all of data.bands, and more.")
        if self.kind == "fine_tune" and self.base_model is None:
            raise ValueError("A fine_tune recipe needs base_model: the model to start from.")
        if self.network.architecture != "fcn32s" and self.network.encoder == "plain":
            coarsest = 2 ** (self.network.depth - 1)
            if self.schedule.patch_px % coarsest:
                raise ValueError(f"patch_px {self.schedule.patch_px} is not a multiple of the stride {coarsest}.")
        return self
