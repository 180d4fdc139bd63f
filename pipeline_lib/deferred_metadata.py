"""A Zarr store for writing one new group: chunks go to their place at once, metadata at the end, in one go.

Writing a dataset asks for and rewrites its small metadata files about a hundred times. On a disk that is nothing; in a
bucket each is a request, one after the other. Here they are kept in memory, and nothing is asked of the place at all.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import FsspecStore, LocalStore, WrapperStore


class DeferredMetadata(WrapperStore[Any]):
    """The store of a group that nobody else knows yet, in a folder or under an fsspec URL; Dask workers get it, too.

    Args:
        href: folder or URL of the group.
        held: metadata so far; empty for a new group.
    """

    def __init__(self, href: str, held: dict[str, Buffer] | None = None) -> None:
        remote = "://" in href
        super().__init__(FsspecStore.from_url(href) if remote else LocalStore(Path(href)))
        self.href = href
        self.held = {} if held is None else held

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the place anew, with its own credentials."""
        return type(self), (self.href, self.held)

    def metadata(self) -> dict[str, bytes]:
        """Metadata of the group, by path within it."""
        return {name: content.to_bytes() for name, content in self.held.items()}

    async def get(self, key: str, prototype: BufferPrototype, byte_range: Any = None) -> Buffer | None:
        """Metadata from memory, chunks from their place."""
        return self.held.get(key) if _is_metadata(key) else await self._store.get(key, prototype, byte_range)

    async def _get_many(self, requests: Iterable[Any]) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        """One after the other."""
        for key, prototype, byte_range in requests:
            yield key, await self.get(key, prototype, byte_range)

    async def set(self, key: str, value: Buffer) -> None:
        """Metadata into memory, chunks to their place."""
        if _is_metadata(key):
            self.held[key] = value
        else:
            await self._store.set(key, value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """The same where it is not known yet."""
        if not await self.exists(key):
            await self.set(key, value)

    async def _set_many(self, values: Iterable[tuple[str, Buffer]]) -> None:
        """One after the other."""
        for key, value in values:
            await self.set(key, value)

    async def exists(self, key: str) -> bool:
        """Whether it is known."""
        return key in self.held if _is_metadata(key) else await self._store.exists(key)

    async def is_empty(self, prefix: str) -> bool:
        """Whether there is no metadata under ``prefix``: a new group has no chunk without its array's."""
        return not any(True for key in self.held if key.startswith(prefix))

    async def delete(self, key: str) -> None:
        """Forget one file."""
        self.held.pop(key, None)

    async def delete_dir(self, prefix: str) -> None:
        """Forget what is under ``prefix``."""
        for key in [key for key in self.held if key.startswith(_folder(prefix))]:
            del self.held[key]

    async def list(self) -> AsyncIterator[str]:
        """Paths of all metadata."""
        for key in list(self.held):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """The same under ``prefix``."""
        for key in list(self.held):
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Its direct members."""
        inside = _folder(prefix)
        for name in {key.removeprefix(inside).split("/")[0] for key in self.held if key.startswith(inside)}:
            yield name


def _is_metadata(key: str) -> bool:
    """Whether a file is metadata (Zarr format 2) and no chunk."""
    return key.rpartition("/")[2].startswith(".z")


def _folder(prefix: str) -> str:
    """``prefix`` as the beginning of what is in it."""
    return prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
