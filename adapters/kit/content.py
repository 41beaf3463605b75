"""The body of a request: literal bytes and documents, streamed with the Content-Length known beforehand.

Must never hold a document in memory, and must never complete a body whose document is not what was declared:
a body that stops short of its Content-Length is an incomplete message, which no server may act on.
Source: RFC 9112 section 8 (incomplete messages); RFC 4648 section 4 (base64).
"""

import binascii
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from adapters.kit.exchange import BlobChunk, BlobEncoding, Chunk
from adapters.kit.port import BlobSource

_PIECE = 48 * 1024  # a multiple of three: base64 of whole pieces has no padding in the middle


class DocumentBroken(Exception):
    """A document could not be read, or is not as long as declared. The message stayed incomplete."""


def content_length(content: tuple[Chunk, ...]) -> int:
    """Bytes on the wire. Raises DocumentBroken for a part outside its document."""
    return sum(_wire_length(chunk) if isinstance(chunk, BlobChunk) else len(chunk) for chunk in content)


def plain_bytes(content: tuple[Chunk, ...]) -> bytes | None:
    """The whole body when no document is in it."""
    if any(isinstance(chunk, BlobChunk) for chunk in content):
        return None
    return b"".join(chunk for chunk in content if isinstance(chunk, bytes))


async def stream_content(content: tuple[Chunk, ...], blobs: BlobSource) -> AsyncGenerator[bytes, None]:
    """Raises DocumentBroken, always before the last byte of the document in question was given out."""
    for chunk in content:
        if not isinstance(chunk, BlobChunk):
            if chunk:
                yield chunk
        elif chunk.encoding is BlobEncoding.BASE64:
            async with aclosing(_read_part(chunk, blobs)) as part, aclosing(_in_threes(part)) as pieces:
                async for piece in pieces:
                    yield binascii.b2a_base64(piece, newline=False)
        else:
            async with aclosing(_read_part(chunk, blobs)) as part:
                async for piece in part:
                    yield piece


def _part_length(chunk: BlobChunk) -> int:
    end = chunk.offset + chunk.length if chunk.length else chunk.size_bytes
    if chunk.offset < 0 or not chunk.offset <= end <= chunk.size_bytes:
        raise DocumentBroken(f"the part {chunk.offset}..{end} is outside {chunk.size_bytes} bytes")
    return end - chunk.offset


def _wire_length(chunk: BlobChunk) -> int:
    length = _part_length(chunk)
    return (length + 2) // 3 * 4 if chunk.encoding is BlobEncoding.BASE64 else length


async def _read_part(chunk: BlobChunk, blobs: BlobSource) -> AsyncGenerator[bytes, None]:
    """The part's bytes, one piece late: the last is given out only when the length has proved right."""
    wanted = _part_length(chunk)
    to_the_end = chunk.offset + wanted == chunk.size_bytes
    given = 0
    held = b""
    source = blobs.read(chunk.blob_key, chunk.offset)
    try:
        async for piece in source:
            if not piece:
                continue
            if given + len(piece) > wanted:
                if to_the_end:
                    raise DocumentBroken(f"the document is longer than its {chunk.size_bytes} bytes")
                piece = piece[: wanted - given]
            if held:
                for start in range(0, len(held), _PIECE):
                    yield held[start : start + _PIECE]
            given += len(piece)
            held = piece
            if given == wanted and not to_the_end:
                break
    except DocumentBroken:
        raise
    except Exception as error:
        # Whatever the store raised, the fact for the request is one: its body ends here, incomplete.
        raise DocumentBroken(f"the document could not be read: {type(error).__name__}") from error
    finally:
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()
    if given != wanted:
        raise DocumentBroken(f"the document ends {wanted - given} bytes before its {chunk.size_bytes}")
    for start in range(0, len(held), _PIECE):
        yield held[start : start + _PIECE]


async def _in_threes(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    rest = b""
    async for piece in pieces:
        joined = rest + piece
        cut = len(joined) - len(joined) % 3
        rest = joined[cut:]
        if cut:
            yield joined[:cut]
    if rest:
        yield rest
