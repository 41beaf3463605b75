"""`countersign listen`: gets webhooks on a developer's machine, verifies each, prints it, and can pass it on.

Makes an endpoint at a gateway for as long as it runs. Without anything said it finds the `countersign up` of this
folder, with its key. The gateway must reach this machine: by loopback where its allow-list lets it, else by a
tunnel's public address (--url). Must never print a key or a secret, and never pass on what it could not verify.
"""

import argparse
import asyncio
import os
import signal
import socket
import sys
import uuid
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import msgspec

from config.errors import ConfigError
from config.secret import Secret
from config.settings import Settings
from config.settings_source import load_settings
from gateway.cli.listening import Listener, Printer
from gateway.cli.stores import running_base_url

_API = "/api/v1/signatures"
_TIMEOUT_S = 30.0


class _Kept(msgspec.Struct, frozen=True):
    """What `up` keeps for the commands of the same user."""

    tenant_key: str


class _Made(msgspec.Struct, frozen=True):
    """The answer that makes an endpoint, as far as it is needed here."""

    id: str
    secret: str


def listen(options: argparse.Namespace) -> int:
    """Runs until SIGINT or SIGTERM; the endpoint goes with it, unless it is to be kept."""
    asyncio.run(_listen(options, load_settings()))
    return 0


async def _listen(options: argparse.Namespace, settings: Settings) -> None:
    stop = asyncio.Event()
    for which in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(which, stop.set)
    await listen_until(stop, options, settings)


async def listen_until(stop: asyncio.Event, options: argparse.Namespace, settings: Settings) -> None:
    """Raises ConfigError when the gateway makes no endpoint of what was asked for."""
    api, key = _gateway(options, settings)
    wanted = _wanted(options)
    forward = _vet_url(options.forward, "--forward") if options.forward else ""
    if options.url:
        _vet_url(options.url, "--url")
    if not 0 <= options.port <= 65_535:
        raise ConfigError("--port is between 0 and 65535.")
    async with AsyncExitStack() as stack:
        listener = Listener(Printer(as_json=options.json), port=options.port, forward=forward)
        try:
            await stack.enter_async_context(listener)
        except OSError as error:
            raise ConfigError(f"port {options.port} cannot be listened on ({error.strerror}).") from error
        headers = {"authorization": f"Bearer {key.reveal()}"}
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=api + _API, headers=headers, timeout=_TIMEOUT_S, trust_env=False)
        )
        made = await _register(client, {**wanted, "url": options.url or listener.url})
        listener.secret = Secret(made.secret)
        try:
            _tell(f"{made.id} sends to {options.url or listener.url}; Ctrl-C ends it.")
            if options.url:
                _tell(f"listening on {listener.url}")
            if forward:
                _tell(f"passing on to {forward}")
            await stop.wait()
        finally:
            _tell("")
            if options.keep:
                _tell(f"{made.id} is kept; what it misses is listed as undelivered.")
            else:
                await _remove(client, made.id)


async def _register(client: httpx.AsyncClient, wanted: dict[str, Any]) -> _Made:
    try:
        answer = await client.post("/webhooks", json=wanted, headers={"idempotency-key": str(uuid.uuid4())})
    except httpx.HTTPError as error:
        raise ConfigError(
            f"the gateway at {client.base_url} cannot be reached ({type(error).__name__}); is it up? See --api."
        ) from error
    if answer.status_code == 201:
        return msgspec.json.decode(answer.content, type=_Made)
    raise ConfigError(f"the gateway made no endpoint: {_words(answer)}")


async def _remove(client: httpx.AsyncClient, endpoint: str) -> None:
    try:
        answer = await client.delete(f"/webhooks/{endpoint}")
    except httpx.HTTPError as error:
        _tell(f"{endpoint} could not be deleted ({type(error).__name__}): delete it yourself.")
        return
    done = answer.is_success or answer.status_code == httpx.codes.NOT_FOUND
    _tell(f"{endpoint} is deleted." if done else f"{endpoint} could not be deleted: {_words(answer)}")


def _words(answer: httpx.Response) -> str:
    """A problem's own words, and what is wrong where."""
    try:
        problem = answer.json()
        findings = "".join(f" {one['where']}: {one['problem']}" for one in problem.get("findings", ()))
        return f"{problem['detail']}{findings} {problem.get('remedy', '')}".strip()
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"it answered {answer.status_code}"


def _gateway(options: argparse.Namespace, settings: Settings) -> tuple[str, Secret]:
    """Its address and a key for it. The key that `up` made goes to that `up` and nowhere else."""
    general = settings.countersign
    running = running_base_url(general.data_dir)
    api = _vet_url(options.api, "--api") if options.api else running or general.public_base_url
    api = api.rstrip("/").removesuffix(_API)
    if options.key_file:
        return api, _key_of_file(Path(options.key_file))
    if general.api_key is not None:
        return api, general.api_key
    if running is not None and api == running.rstrip("/"):
        file = general.data_dir / "development.json"
        try:
            return api, Secret(msgspec.json.decode(file.read_bytes(), type=_Kept).tenant_key)
        except (OSError, msgspec.DecodeError) as error:
            raise ConfigError(f"{file} cannot be read.") from error
    raise ConfigError(
        "no key: set COUNTERSIGN_API_KEY, name a --key-file, or run `countersign up` in this folder."
    )


def _key_of_file(path: Path) -> Secret:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read.") from error
    if not text.isascii() or not text.isprintable() or " " in text or not text:
        raise ConfigError(f"{path} holds no key: it is one line, as `countersign key create` prints it.")
    return Secret(text)


def _wanted(options: argparse.Namespace) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "description": f"countersign listen on {socket.gethostname()}, process {os.getpid()}"[:500],
        "events": [name.strip() for name in options.events.split(",") if name.strip()],
    }
    if options.filter:
        try:
            wanted["filter"] = msgspec.json.decode(options.filter, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise ConfigError(f"--filter is no JSON object ({error}).") from error
    return wanted


def _vet_url(text: str, name: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ConfigError(f"{name} is no URL ({error}).") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigError(f"{name} begins with http:// or https:// and a host.")
    return text


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
