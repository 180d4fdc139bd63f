"""The errors overbank raises on purpose.

Each message is one or two sentences for the person at the desk: what was wrong, the value that was given, what was
expected, and what to do about it. The command line prints the message alone; a traceback needs ``--debug``.
"""

import errno
import re
import socket

_QUERY = re.compile(r"\?[^\s'\")\]>]+")
_LOGIN = re.compile(r"(?<=://)[^\s/?#'\"]*@")
_FULL_STOP = re.compile(r"(?<!\.)\.$")


def shown(error: object) -> str:
    """The words of an error that a message may repeat, for the message to punctuate: without a full stop at the end.

    Addresses lose their queries, which may hold a signature, and their logins.

    Where a library's error may name an address, raise ours ``from None``: a traceback would print the other one whole.
    """
    return _FULL_STOP.sub("", _QUERY.sub("?...", _LOGIN.sub("...@", str(error))))


class OverbankError(Exception):
    """Base of every deliberate error; ``exit_code`` is what the command line leaves with."""

    exit_code: int = 1
    may_pass: bool = False
    """Whether the same call may succeed a moment later although nobody changed anything (see `may_pass`)."""


class InputError(OverbankError, ValueError):
    """What the user gave cannot be meant: a wrong area, date, name, option or file."""

    exit_code = 2


class AreaError(InputError):
    """The area of interest is not a usable polygon on the Earth."""


class RasterError(InputError):
    """A raster the user gave cannot be read, lacks a CRS, or lacks the polarisations asked for."""


class UnknownNameError(InputError):
    """A name (detector, catalogue, dataset, model, event) is not one that overbank knows."""

    def __init__(self, kind: str, given: str, known: tuple[str, ...]) -> None:
        """Say which ``kind`` of name was ``given`` and which are ``known``."""
        super().__init__(f"Unknown {kind} {given!r}; known are: {', '.join(known) or 'none'}.")
        self._said = kind, given, known

    def __reduce__(self) -> tuple[type, tuple[str, str, tuple[str, ...]]]:
        """Travel between processes by what was given, not by the sentence."""
        return type(self), self._said


class ContractError(OverbankError, ValueError):
    """A dataset breaks the contract of its type (dims, dtype, units): a bug or a foreign file."""


class GridMismatchError(ContractError):
    """Two datasets that must share one GeoBox do not."""


class CatalogError(OverbankError):
    """A STAC catalogue cannot be reached or answers with something that is not STAC."""

    exit_code = 3


class NoAcquisitionError(OverbankError):
    """The catalogue holds no acquisition for the area and the dates."""

    exit_code = 4


class NoReferenceError(OverbankError):
    """No acquisition before the event on the same relative orbit, where a detector needs one."""

    exit_code = 4


class AssetError(OverbankError):
    """An asset cannot be used: missing, truncated, without CRS, or with no data at all."""

    exit_code = 5


class UnreachableAssetError(AssetError):
    """An asset could not be read this time: no connection, HTTP 429 or 5xx, or an answer that broke off or is damaged.

    A file that is damaged in the archive itself looks the same.
    """

    may_pass = True


class UnseparableHistogramError(OverbankError):
    """A histogram has one mode only, so that no threshold means anything."""

    exit_code = 6


class StoreError(OverbankError):
    """The store or the output folder cannot be read or written (not writable, full, damaged)."""

    exit_code = 7


class UnreachableStoreError(StoreError):
    """A store in a bucket could not be reached this time: no connection, or its service is busy or down."""

    may_pass = True


class ModelError(OverbankError):
    """A trained model cannot be used: damaged, of another architecture, or not fit for the input."""

    exit_code = 8


class ClusterError(OverbankError):
    """The Dask cluster has been without any worker for too long; running again continues where the run was."""

    exit_code = 10


class MirrorError(StoreError):
    """What is published could not be copied to its mirror; it stays published, and the copy is made up for later."""

    exit_code = 11


class SupersededError(OverbankError):
    """While this run mapped, a person retracted the event, or another run published it with more passes."""

    exit_code = 12


class IncompleteEventError(OverbankError):
    """The event was published, but some of its passes could not be mapped; running again completes it."""

    exit_code = 9


_CONNECTION = ("ConnectionError", "HTTPClientError", "ClientConnectionError", "ClientPayloadError")
"""Bases, by name, of what botocore and aiohttp raise where a connection fails; none is an ``OSError``."""

_ANSWERS = (FileExistsError, FileNotFoundError, PermissionError, ValueError)
"""What a folder, a bucket or a library says for good, with a number or without."""

_NETWORK = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.ECONNABORTED,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EIO,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)


def may_pass(error: BaseException | None) -> bool:
    """Whether what failed is worth another try as it is: the network and overloaded servers yes, all else no.

    Of ours, the class says so (`OverbankError.may_pass`): a wrong input, a foreign file or a full disk stays what it
    is. Of others it is an ``OSError`` of connections, time limits and names of hosts, by its class or number; one
    without a number comes from a library (requests, GDAL) that reads over the network.
    """
    if isinstance(error, OverbankError):
        return error.may_pass
    if isinstance(error, (ConnectionError, TimeoutError, socket.gaierror)):
        return True
    if any(kind.__name__ in _CONNECTION for kind in type(error).__mro__):
        return True
    if not isinstance(error, OSError) or isinstance(error, _ANSWERS):
        return False
    return error.errno is None or error.errno in _NETWORK
