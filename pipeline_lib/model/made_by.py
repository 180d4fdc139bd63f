"""What made a map of water: which detector with which options, and which networks it ran."""

from pydantic import JsonValue

from pipeline_lib.model.record import Record, digest_of

WEIGHTS_SHOWN = 8
"""Digits of the digest of a network's weights in a sentence."""


class NetworkUsed(Record):
    """A network that looked at a pass."""

    name: str
    """Of its card."""
    digests: dict[str, str]
    """SHA-256 by file: of the weights, and then of every exported form."""
    threshold: float
    """Probability from which a pixel was called water."""
    backend: str
    """What ran it (``torch-cuda``, ``torch-cpu``, ``openvino`` ...), and with it which of the files."""
    folder: str = ""
    """Where its files lay; empty in what is published."""

    @property
    def key(self) -> str:
        """Of the network, wherever it lies and however it was run."""
        return digest_of([self.name, self.digests])

    @property
    def label(self) -> str:
        """``shipped_post_event (weights 0a1b2c3d, openvino)``."""
        return f"{self.name} (weights {next(iter(self.digests.values()))[:WEIGHTS_SHOWN]}, {self.backend})"


class DetectorUsed(Record):
    """A detector as it answered for one pass."""

    detector: str
    parameters: dict[str, JsonValue]
    """Every option, defaults included."""
    networks: tuple[NetworkUsed, ...] = ()
    """Those that had a say; none where the detector has none, or its network could not read the pass."""
    members: tuple["DetectorUsed", ...] = ()
    """Detectors whose answers this one joined."""

    @property
    def all_networks(self) -> tuple[NetworkUsed, ...]:
        """The networks of the detector and of its members, each once."""
        mine = (*self.networks, *(one for member in self.members for one in member.all_networks))
        return tuple({(one.key, one.threshold, one.backend): one for one in mine}.values())

    @property
    def words(self) -> str:
        """``fused with shipped_post_event (weights 0a1b2c3d, openvino)``."""
        told = [one.label for one in self.all_networks]
        return f"{self.detector} with {' and '.join(told)}" if told else self.detector

    @property
    def without_folders(self) -> "DetectorUsed":
        """For readers elsewhere: where a network's files lay is of use on this machine alone."""
        networks = tuple(one.model_copy(update={"folder": ""}) for one in self.networks)
        members = tuple(member.without_folders for member in self.members)
        return self.model_copy(update={"networks": networks, "members": members})

    def run_by(self, backend: str) -> "DetectorUsed":
        """The same where another machine ran the networks that were left to choose their backend."""
        left_open = self.parameters.get("backend") == "auto"
        networks = tuple(one.model_copy(update={"backend": backend}) if left_open else one for one in self.networks)
        members = tuple(member.run_by(backend) for member in self.members)
        return self.model_copy(update={"networks": networks, "members": members})
