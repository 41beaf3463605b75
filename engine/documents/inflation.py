"""Finds what unpacks to far more than it is: streams are unpacked piece by piece and counted, never kept.

Must never hold an unpacked stream in memory; qpdf's own limits (set at the examiner's start) bound the rest.
"""

import zlib

import pikepdf

from engine.documents.active_content import every_container
from engine.documents.messages import Limits, Refused

# No compression that PDF knows makes one byte into more.
_MOST_PER_BYTE = 1100
_PIECE = 1024 * 1024
_TOTAL_FACTOR = 32
_SAMPLE_BYTES = 8  # of one pixel at most: four components of 16 bits
_UNPACKING = {
    "/FlateDecode",
    "/Fl",
    "/LZWDecode",
    "/LZW",
    "/RunLengthDecode",
    "/RL",
    "/ASCII85Decode",
    "/A85",
    "/ASCIIHexDecode",
    "/AHx",
}


def check_streams(pdf: pikepdf.Pdf, limits: Limits) -> None:
    """Raises Refused for a stream over the limit, for many that are over it together, and for a huge picture."""
    total = 0
    for holder in every_container(pdf):
        if isinstance(holder, pikepdf.Stream):
            total += _size_of(holder, limits)
            if total > limits.stream_bytes * _TOTAL_FACTOR:
                raise Refused("inflates", detail=f"over {limits.stream_bytes * _TOTAL_FACTOR} bytes in all")


def _size_of(stream: pikepdf.Object, limits: Limits) -> int:
    """Bytes unpacked, or a bound on them where that is small anyway."""
    most = limits.stream_bytes
    if stream.get("/Subtype") == pikepdf.Name.Image:
        pixels = _number(stream, "/Width") * _number(stream, "/Height")
        if pixels > limits.image_pixels:
            raise Refused("huge_image", detail=str(pixels))
        most = max(most, pixels * _SAMPLE_BYTES + 4096)
    filters = _filters_of(stream)
    if not filters or not set(filters) <= _UNPACKING:
        return 0  # a picture's own compression: bounded by its pixels
    packed = stream.read_raw_bytes()  # what is there: the declared length may lie
    if len(filters) == 1 and len(packed) * _MOST_PER_BYTE < limits.stream_bytes:
        return len(packed)
    if filters in (["/FlateDecode"], ["/Fl"]):
        return _inflated(packed, most)
    try:
        return len(stream.read_bytes())
    except pikepdf.PdfError as error:
        if "limit exceeded" in str(error):
            raise Refused("inflates", detail=f"over {limits.stream_bytes} bytes") from error
        return 0  # damaged: readers show what they can, and so does ours


def _inflated(packed: bytes, most: int) -> int:
    unpacking = zlib.decompressobj()
    size, waiting = 0, packed
    try:
        while waiting and not unpacking.eof:
            size += len(unpacking.decompress(waiting, _PIECE))
            waiting = unpacking.unconsumed_tail
            if size > most:
                raise Refused("inflates", detail=f"over {most} bytes")
    except zlib.error:
        return size
    return size


def _filters_of(stream: pikepdf.Object) -> list[str]:
    given = stream.get("/Filter")
    if given is None:
        return []
    return [str(one) for one in given] if isinstance(given, pikepdf.Array) else [str(given)]


def _number(stream: pikepdf.Object, key: str) -> int:
    value = stream.get(key, 0)
    return int(value) if isinstance(value, int) else 0
