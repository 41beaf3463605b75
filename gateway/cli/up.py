"""`countersign up`: everything on this machine until Ctrl-C, with a tenant, keys and three lines to try."""

import argparse
import asyncio
import base64
import json
import logging
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path

from config.errors import ConfigError
from config.exit import exit_now
from config.logging import configure_logging
from config.settings import Settings
from config.settings_source import load_settings
from gateway.cli.child_output import ChildOutput
from gateway.cli.development import Development, RunningSandbox, ensure_development
from gateway.cli.house import House, open_house
from gateway.cli.house_plan import HousePlan
from gateway.cli.sample import FIRST_SIGNER, write_sample
from gateway.cli.stores import announce_running
from gateway.composition import open_services

_LOOK_AFTER_STORES_S = 1.0
_BUILT_IN = "internal"


def up(options: argparse.Namespace) -> int:
    """Runs until SIGINT or SIGTERM and leaves no process behind."""
    settings = load_settings()
    data_dir = (
        Path(options.data_dir).absolute() if options.data_dir else settings.countersign.data_dir.absolute()
    )
    port = options.port if options.port is not None else settings.http.port
    if not 0 <= port < 65_000:
        raise ConfigError("--port is between 0 and 64999: the sandboxes take the ports after it.")
    plan = HousePlan(data_dir=data_dir, port=port, keep_sandboxes=True, settings=settings)
    configure_logging("warning")
    _warn_plainly()
    status = asyncio.run(_run(plan, verbose=options.verbose))
    exit_now(status)


async def _run(plan: HousePlan, *, verbose: bool) -> int:
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    told_to_stop = False

    def stop() -> None:
        nonlocal told_to_stop
        if not told_to_stop and task is not None:
            told_to_stop = True
            print("\nstopping ...", file=sys.stderr, flush=True)
            task.cancel()

    for which in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(which, stop)
    try:
        await _keep_house(plan, verbose=verbose)
    except asyncio.CancelledError:
        if not told_to_stop:
            raise
        print("stopped", file=sys.stderr, flush=True)
    return 0


async def _keep_house(plan: HousePlan, *, verbose: bool) -> None:
    plan.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def prepare(settings: Settings, sandboxes: list[RunningSandbox]) -> Development:
        async with open_services(settings, name="countersign up") as services:
            file = plan.data_dir / "development.json"
            return await ensure_development(services, file, sandboxes, tenant_name="Development")

    output = ChildOutput(plan.data_dir / "up.log", sys.stderr, verbose=verbose)
    print(f"starting, with everything in {plan.data_dir} ...", file=sys.stderr, flush=True)
    running: Path | None = None
    try:
        async with open_house(plan, output, prepare) as house:
            if house.stores is not None:
                running = announce_running(plan.data_dir, house.settings)
            print(_welcome(plan, house, _write_trial(plan)), flush=True)
            while True:
                await asyncio.sleep(_LOOK_AFTER_STORES_S)
                if house.stores is not None:
                    house.stores.revive()
    finally:
        if running is not None:
            with suppress(FileNotFoundError):
                running.unlink()
        output.close()


def _welcome(plan: HousePlan, house: House, trial: Path) -> str:
    development = house.development
    api = f"{house.url}/api/v1/signatures"
    pages = "\n".join(
        f"  {sandbox.title + ' sandbox':<27}{sandbox.url}/sandbox   (act as a signer)"
        for sandbox in house.sandboxes.values()
    )
    authorization = f"-H 'Authorization: Bearer {development.tenant_key}'"
    return f"""
Countersign is up.

  API                        {api}
  API documentation          {house.url}/docs/openapi.json
{pages}
  {"mails and their links":<27}{house.outside.mail_page}   (nothing is delivered)
  {"text messages":<27}{house.outside.text_page}
  log of all processes       {plan.data_dir / "up.log"}

  tenant                     {development.tenant}
  tenant's key               {development.tenant_key}
  administrator's key        {development.administrator_key}

Three lines to try: send a contract, read the envelope, see what has happened to it (sign it in between).

  ENVELOPE=$(curl -sS {api}/envelopes {authorization} -H "Idempotency-Key: try-$(date +%s)" \
-H 'Content-Type: application/json' -d @{shlex.quote(str(trial))} | grep -o 'env_[a-z0-9]*' | head -1); echo "$ENVELOPE"
  curl -sS {api}/envelopes/$ENVELOPE {authorization}
  curl -sS {api}/envelopes/$ENVELOPE/events {authorization}

To sign here instead of at a sandbox, switch the tenant to the built-in engine, send again, and open the link on the
page of mails; the code that it asks for comes there too.

  {_switch_line(house)}

Ctrl-C stops everything; what was sent stays in {plan.data_dir}.
"""


def _switch_line(house: House) -> str:
    """From whatever the tenant sends with to the engine in this process."""
    development = house.development
    body = {"to_connection_id": development.connection(_BUILT_IN), "reason": "to try the built-in engine"}
    return (
        f"curl -sS {house.url}/api/v1/admin/tenants/{development.tenant}/provider-switches"
        f" -H 'Authorization: Bearer {development.administrator_key}'"
        f" -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body))}"
    )


def _write_trial(plan: HousePlan) -> Path:
    """The body of the first line to try: a request with the sample contract inside."""
    sample = plan.data_dir / "sample-contract.pdf"
    write_sample(sample)
    field = {"type": "signature", "page": FIRST_SIGNER.page, "x": FIRST_SIGNER.x, "y": FIRST_SIGNER.y}
    body = {
        "name": "A first try",
        "send": True,
        "documents": [
            {"name": sample.name, "content_base64": base64.b64encode(sample.read_bytes()).decode()}
        ],
        "recipients": [{"name": "Ada Lovelace", "email": "ada@example.com", "fields": [field]}],
    }
    trial = plan.data_dir / "try.json"
    trial.write_text(json.dumps(body), encoding="utf-8")
    return trial


class _Plain(logging.Formatter):
    """Warnings for people: the processes' own lines are JSON and go to the log file."""

    def format(self, record: logging.LogRecord) -> str:
        return f"countersign: {record.getMessage()}"


def _warn_plainly() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain())
    logging.getLogger().handlers[:] = [handler]
