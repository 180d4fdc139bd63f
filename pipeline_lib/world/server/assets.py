"""Asset files over HTTP with ranges, as object stores serve them (RFC 9110 sections 13 and 14)."""

import re
from collections.abc import Iterator, Mapping
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")
_PIECE = 1 << 18
_TYPES = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".tiff": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".json": "application/json",
    ".geojson": "application/geo+json",
    ".xml": "application/xml",
    ".safe": "application/xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jp2": "image/jp2",
    ".parquet": "application/vnd.apache.parquet",
}


def asset_path(root: Path, relative: str) -> Path | None:
    """The file that a URL path names, or None where it names none inside ``root`` (traversal, links that lead out)."""
    if "\x00" in relative or "\\" in relative:
        return None
    try:
        path = (root / relative).resolve()
    except (OSError, ValueError):
        return None
    return path if path.is_relative_to(root.resolve()) and path.is_file() else None


def asset_response(path: Path, request: Request) -> Response:
    """Answer a GET or HEAD for a file: 200, 206, 304, 412 or 416."""
    status = path.stat()
    size = status.st_size
    headers = {
        "accept-ranges": "bytes",
        "etag": f'"{status.st_mtime_ns:x}-{size:x}"',
        "last-modified": formatdate(status.st_mtime, usegmt=True),
        "content-type": _TYPES.get(path.suffix.lower(), "application/octet-stream"),
    }
    refusal = _precondition(request.headers, headers)
    if refusal is not None:
        return Response(status_code=refusal, headers=headers)
    wanted = _range(request.headers, headers, size) if request.method == "GET" else (0, size)
    if wanted is None:
        return Response(status_code=416, headers={**headers, "content-range": f"bytes */{size}"})
    start, end = wanted
    partial = request.method == "GET" and "range" in request.headers and _honoured(request.headers, headers)
    if partial:
        headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    headers["content-length"] = str(end - start)
    code = 206 if partial else 200
    if request.method == "HEAD":
        return Response(status_code=200, headers=headers)
    return StreamingResponse(_pieces(path, start, end), status_code=code, headers=headers)


def _pieces(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        left = end - start
        while left > 0:
            piece = file.read(min(_PIECE, left))
            if not piece:
                return
            left -= len(piece)
            yield piece


def _precondition(asked: Mapping[str, str], held: Mapping[str, str]) -> int | None:
    """412 or 304 where If-Match or If-None-Match say so."""
    if "if-match" in asked and not _names(asked["if-match"], held["etag"]):
        return 412
    if "if-none-match" in asked and _names(asked["if-none-match"], held["etag"]):
        return 304
    return None


def _names(header: str, etag: str) -> bool:
    return header.strip() == "*" or etag in [part.strip().removeprefix("W/") for part in header.split(",")]


def _honoured(asked: Mapping[str, str], held: Mapping[str, str]) -> bool:
    """Whether the Range header counts: one range in bytes, and If-Range still true. Else the whole is sent."""
    found = _RANGE.match(asked.get("range", "").replace(" ", ""))
    if found is None or found[1] == found[2] == "":
        return False
    if found[1] and found[2] and int(found[2]) < int(found[1]):
        return False
    condition = asked.get("if-range")
    return condition is None or condition == held["etag"] or _same_date(condition, held["last-modified"])


def _same_date(one: str, other: str) -> bool:
    try:
        return parsedate_to_datetime(one) == parsedate_to_datetime(other)
    except ValueError:
        return False


def _range(asked: Mapping[str, str], held: Mapping[str, str], size: int) -> tuple[int, int] | None:
    """Start and end (exclusive) of what to send; None where the range lies beyond the file."""
    if not _honoured(asked, held):
        return 0, size
    found = _RANGE.match(asked["range"].replace(" ", ""))
    if found is None:
        return 0, size
    if found[1] == "":
        length = min(int(found[2]), size)
        return (size - length, size) if length > 0 else None
    start = int(found[1])
    end = min(int(found[2]) + 1, size) if found[2] else size
    return (start, end) if start < size else None
