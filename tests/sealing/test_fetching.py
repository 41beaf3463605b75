"""Where a certificate's status is asked: at public servers, a little, and nowhere within the house."""

import asyncio

import aiohttp
import pytest
from aiohttp import web
from msgspec.structs import replace

from config.settings_sealing import SealLevel
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.fetching import MOST_BYTES, FetchRefused, open_fetcher
from engine.sealing.seal import SealOrder, seal_file
from tests.sealing.authority import local_tools, seal_key, served, served_authority
from tests.sealing.papers import make_pdf

HERE = ("127.0.0.1:*",)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/ocsp",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/ocsp",
        "http://[::ffff:10.0.0.1]/crl",
        "http://10.0.0.1/crl",
        "http://localhost/crl",
        "http://1.1.1.1:6379/",
    ],
)
async def test_an_address_within_the_house_is_never_connected_to(url):
    async with open_fetcher(()) as backend:
        with pytest.raises(aiohttp.ClientConnectorError) as refused:
            await backend.session.get(url)
    assert isinstance(refused.value.os_error, FetchRefused)


def test_a_certificate_that_points_into_the_house_is_not_asked_about_and_not_sealed_with(tmp_path):
    """The development authority's certificates name 127.0.0.1 for OCSP and CRL."""
    with served_authority(tmp_path / "authority") as (url, authority):
        assert url.startswith("http://127.0.0.1")
        (tmp_path / "in.pdf").write_bytes(make_pdf())
        tools = local_tools(authority, level=SealLevel.B_LTA)

        def seal(loopback) -> None:
            order = SealOrder(
                source=tmp_path / "in.pdf",
                target=tmp_path / "out.pdf",
                stamps=(),
                pictures={},
                key=seal_key(authority),
                reason="",
            )
            asyncio.run(seal_file(replace(tools, loopback=loopback), order))

        with pytest.raises(SealingFailed) as failed:
            seal(())
        assert failed.value.trouble is SealTrouble.REVOCATION_UNAVAILABLE
        seal(HERE)


def test_an_answer_without_end_or_one_that_leads_elsewhere_is_given_up():
    sent = [0]

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        with pytest.raises(ConnectionResetError):
            while True:
                await answer.write(bytes(1024 * 1024))
                sent[0] += 1024 * 1024
        return answer

    async def elsewhere(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://169.254.169.254/")

    def app(_: str) -> web.Application:
        made = web.Application()
        made.add_routes([web.get("/endless", endless), web.get("/elsewhere", elsewhere)])
        return made

    async def ask(url: str) -> None:
        async with open_fetcher(HERE) as backend, backend.session.get(url) as answer:
            await answer.read()

    with served(app) as url:
        with pytest.raises(aiohttp.ClientPayloadError):
            asyncio.run(ask(f"{url}/endless"))
        with pytest.raises(aiohttp.ClientError, match="leads elsewhere"):
            asyncio.run(ask(f"{url}/elsewhere"))
    assert sent[0] < 3 * MOST_BYTES
