"""Documents on their way: exact bytes, exact lengths, bounded memory."""

import base64
import hashlib
import tracemalloc
from collections.abc import AsyncIterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kit.content import DocumentBroken, content_length, stream_content
from adapters.kit.exchange import BlobEncoding, Effect
from adapters.kit.outcome import Done, Unknown
from tests.adapters.kit.fake_provider import (
    FAST,
    Bench,
    MemoryBlobs,
    answer,
    cut_off,
    document,
    open_bench,
    request,
)

MIB = 1024 * 1024


class GeneratedBlobs(MemoryBlobs):
    """A document of any size that is never in memory as a whole."""

    size = 50 * MIB
    kept = 0

    async def read(self, key: str, offset: int = 0) -> AsyncIterator[bytes]:
        for _ in range(offset // 65536, self.size // 65536):
            yield bytes(65536)

    async def write(self, chunks: AsyncIterator[bytes]) -> tuple[str, str, int]:
        digest = hashlib.sha256()
        async for chunk in chunks:
            digest.update(chunk)
            self.kept += len(chunk)
        return "key", digest.hexdigest(), self.kept


@pytest.mark.parametrize("encoding", list(BlobEncoding))
async def test_document_of_50_mb_goes_out_in_little_memory(bench: Bench, encoding: BlobEncoding) -> None:
    bench.blobs = GeneratedBlobs()
    bench.server.keep_bodies = False
    await bench.send(request())
    tracemalloc.start()
    try:
        content = (b'{"d":"', document("big", 50 * MIB, encoding=encoding), b'"}')
        outcome = await bench.send(request(content=content), deadline_s=60)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(outcome, Done)
    plain = bytes(50 * MIB)
    on_the_wire = b'{"d":"' + (base64.b64encode(plain) if encoding is BlobEncoding.BASE64 else plain) + b'"}'
    received = bench.server.received[-1]
    assert received.size == len(on_the_wire)
    assert received.sha256 == hashlib.sha256(on_the_wire).hexdigest()
    assert peak < 8 * MIB  # server and client together


async def test_answer_of_50_mb_is_kept_in_little_memory(bench: Bench) -> None:
    blobs = bench.blobs = GeneratedBlobs()

    async def large(_, writer) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nContent-Length: %d\r\n\r\n" % (50 * MIB)
        )
        for number in range(800):
            writer.write(b"%PDF" + bytes(65532) if number == 0 else bytes(65536))
            await writer.drain()

    bench.server.behaviours = [large]
    tracemalloc.start()
    try:
        outcome = await bench.send(request(Effect.NONE, save=True), deadline_s=60)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    saved = outcome.value.saved
    assert (saved.size_bytes, blobs.kept, saved.media_type) == (50 * MIB, 50 * MIB, "application/pdf")
    assert saved.first_bytes.startswith(b"%PDF")
    assert outcome.value.body == b""
    assert peak < 8 * MIB


async def test_answer_cut_off_while_it_is_kept_is_unknown_and_leaves_nothing(bench: Bench) -> None:
    bench.server.behaviours = [cut_off]
    assert isinstance(await bench.send(request(Effect.NONE, save=True)), Unknown)
    assert bench.blobs.stored == {}


async def test_answer_over_the_limit_of_what_is_kept_leaves_nothing() -> None:
    async with open_bench(msgspec.structs.replace(FAST, max_saved_bytes=1000)) as bench:
        bench.server.behaviours = [answer(body=b"x" * 1001)]
        assert isinstance(await bench.send(request(Effect.NONE, save=True)), Unknown)
        assert bench.blobs.stored == {}
        bench.server.behaviours = [answer(body=b"x" * 1000)]
        assert isinstance(await bench.send(request(Effect.NONE, save=True)), Done)


async def test_error_answer_to_a_kept_request_is_not_kept(bench: Bench) -> None:
    bench.server.behaviours = [answer(404, b'{"code":"X"}')]
    await bench.send(request(Effect.NONE, save=True))
    assert bench.blobs.stored == {}


async def test_store_that_cannot_keep_an_answer_is_heard(bench: Bench) -> None:
    class Full(MemoryBlobs):
        async def write(self, chunks: AsyncIterator[bytes]) -> tuple[str, str, int]:
            raise OSError("disk full")

    bench.blobs = Full()
    with pytest.raises(OSError, match="disk full"):
        await bench.send(request(Effect.NONE, save=True))


@given(
    size=st.integers(1, 2000),
    piece=st.integers(1, 700),
    start=st.integers(0, 1999),
    length=st.integers(0, 2000),
    encoding=st.sampled_from(BlobEncoding),
)
async def test_any_part_of_a_document_has_its_exact_bytes_and_length(
    size: int, piece: int, start: int, length: int, encoding: BlobEncoding
) -> None:
    start = start % size
    length = min(length, size - start)
    plain = bytes(number % 251 for number in range(size))
    blobs = MemoryBlobs(doc=plain)
    blobs.piece = piece
    content = (b"<", document("doc", size, encoding=encoding, offset=start, length=length), b">")
    sent = b"".join([part async for part in stream_content(content, blobs)])
    part = plain[start : start + length] if length else plain[start:]
    assert sent == b"<" + (base64.b64encode(part) if encoding is BlobEncoding.BASE64 else part) + b">"
    assert content_length(content) == len(sent)
    assert blobs.unfinished == 0


@pytest.mark.parametrize("changes", [{"offset": 11}, {"offset": 5, "length": 6}, {"offset": -1}])
def test_part_outside_its_document_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(DocumentBroken):
        content_length((document("doc", 10, **changes),))
