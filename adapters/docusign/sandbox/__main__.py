"""Starts the sandbox: `python -m adapters.docusign.sandbox --port 0`; prints one JSON line when it listens.

Must stay on loopback: the control API needs no token, and the private key of the test account is printed.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from granian.constants import Interfaces
from granian.server.embed import Server

from .app import create_app
from .courier import Courier
from .lifecycle import expire_due
from .settings import ACCOUNT_ID, INTEGRATION_KEY, USER_ID, Settings
from .world import World

_EXPIRY_PERIOD_S = 1.0


def main() -> None:
    options = _parse()
    try:
        asyncio.run(_serve(options))
    except OSError as error:
        sys.exit(f"docusign sandbox: {error}")
    # The server's native threads have been seen to abort the interpreter's tear-down; all is saved by now.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m adapters.docusign.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument(
        "--state-dir", type=Path, help="keep envelopes, documents and keys here over restarts"
    )
    parser.add_argument(
        "--webhook-allow", action="append", default=[], help="host that webhooks may go to; repeatable"
    )
    parser.add_argument(
        "--retry-schedule", default="0.5,1,2,5,10", help="seconds between attempts of a webhook"
    )
    parser.add_argument("--ack-timeout", type=float, default=100.0, help="seconds that a receiver may take")
    parser.add_argument("--hmac-key", action="append", default=[], help="HMAC key of Connect; repeatable")
    parser.add_argument(
        "--public-key", type=Path, help="PEM of a registered public key; no key pair is made then"
    )
    parser.add_argument("--integration-key", default=INTEGRATION_KEY)
    parser.add_argument("--user-id", default=USER_ID)
    parser.add_argument("--account-id", default=ACCOUNT_ID)
    parser.add_argument("--hourly-limit", type=int, default=3000, help="0 counts without refusing")
    parser.add_argument(
        "--burst-limit", type=int, default=500, help="per 30 seconds; 0 counts without refusing"
    )
    parser.add_argument(
        "--polling-rule", action="store_true", help="refuse a second GET of an envelope in 15 minutes"
    )
    parser.add_argument("--token-lifetime", type=int, default=3600, help="seconds that an access token lives")
    parser.add_argument("--json", action="store_true", help="print the ready line as JSON only")
    return parser.parse_args()


async def _serve(options: argparse.Namespace) -> None:
    reserved = _reserve(options.host, options.port)
    port = reserved.getsockname()[1]
    private_pem, public_pem = _key_pair(options)
    netloc = f"{options.host}:{port}"
    world = World(
        Settings(
            url=f"http://{netloc}",
            netloc=netloc,
            public_key_pem=public_pem,
            integration_key=options.integration_key.lower(),
            user_id=options.user_id.lower(),
            account_id=options.account_id.lower(),
            state_dir=options.state_dir,
            webhook_allow=tuple(options.webhook_allow),
            retry_schedule_s=tuple(float(text) for text in options.retry_schedule.split(",")),
            ack_timeout_s=options.ack_timeout,
            hourly_limit=options.hourly_limit,
            burst_limit=options.burst_limit,
            is_polling_limited=options.polling_rule,
            token_lifetime_s=options.token_lifetime,
        )
    )
    if options.hmac_key:
        world.state.hmac_keys = list(options.hmac_key)
    world.touch()
    world.save()
    app = create_app(world, Courier(world))
    server = Server(
        app, address=options.host, port=port, interface=Interfaces.ASGI, websockets=False, log_enabled=False
    )
    serving = asyncio.create_task(server.serve())
    expiring = asyncio.create_task(_expire_for_ever(world))
    _stop_on_signals(world, server)
    await _wait_until_listening(options.host, port, serving)
    reserved.close()
    _announce(options, world, private_pem)
    await serving
    expiring.cancel()
    world.save()


def _reserve(host: str, port: int) -> socket.socket:
    """A bound socket that holds the port until the server has it; fails when somebody else listens there."""
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
    probe.bind((host, port))  # without SO_REUSEPORT, so that a second sandbox cannot share the port unnoticed
    chosen = probe.getsockname()[1]
    probe.close()
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind((host, chosen))
    return held


def _key_pair(options: argparse.Namespace) -> tuple[str, bytes]:
    """The account's private key (empty when only a public key was given) and its public key."""
    if options.public_key is not None:
        return "", options.public_key.read_bytes()
    kept = options.state_dir / "private_key.pem" if options.state_dir else None
    if kept is not None and kept.exists():
        loaded = serialization.load_pem_private_key(kept.read_bytes(), password=None)
        if not isinstance(loaded, rsa.RSAPrivateKey):
            raise OSError(f"{kept} is no RSA key")
        key = loaded
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    if kept is not None and not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(pem)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem.decode(), public


async def _expire_for_ever(world: World) -> None:
    while True:
        await asyncio.sleep(_EXPIRY_PERIOD_S)
        expire_due(world)
        world.save()


def _stop_on_signals(world: World, server: Server) -> None:
    def stop() -> None:
        world.is_stopping.set()  # wakes answers that a fault holds back
        server.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)


async def _wait_until_listening(host: str, port: int, serving: asyncio.Task[None]) -> None:
    for _ in range(500):
        if serving.done():
            serving.result()
            raise OSError("the server ended while starting")
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        await writer.wait_closed()
        return
    raise OSError(f"{host}:{port} does not answer")


def _announce(options: argparse.Namespace, world: World, private_pem: str) -> None:
    settings = world.settings
    folder = settings.state_dir
    credentials = {
        "integration_key": settings.integration_key,
        "user_id": settings.user_id,
        "account_id": settings.account_id,
        "private_key_pem": private_pem,
        "private_key_path": str(folder / "private_key.pem") if folder and private_pem else None,
        "oauth_host": settings.netloc,
        "oauth_url": settings.url,
        "oauth_base": settings.url,
        "base_uri": settings.url,
        "webhook_secret": world.state.hmac_keys[0],
        "webhook_secrets": world.state.hmac_keys,
    }
    ready = {"name": "docusign", "url": settings.url, "credentials": credentials}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    if not options.json:
        sys.stderr.write(f"DocuSign sandbox, for development only. Signers: {settings.url}/sandbox\n")
    if options.host not in {"127.0.0.1", "::1", "localhost"}:
        sys.stderr.write(
            "WARNING: the sandbox is not on loopback; anybody who reaches it can act as signer.\n"
        )


if __name__ == "__main__":
    main()
