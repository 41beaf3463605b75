"""`countersign`: reads the command line and calls one command's module, which is imported only then.

Exit status: 0 done and well; 1 the answer is no (a ledger that does not verify, a check that fails); 2 the
command cannot be carried out (usage, settings, a store that is away). Mistakes are told on standard error in
a sentence that says what to do. Must never print a secret that it was not asked for.
"""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

OK, NO, CANNOT = 0, 1, 2

Command = Callable[[argparse.Namespace], int]
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  (its type has no other name)


def main() -> int:
    """The entry point: the process ends with the command's status."""
    status = run(sys.argv[1:])
    if "obstore" in sys.modules:
        from config.exit import exit_now

        exit_now(status)
    return status


def run(arguments: Sequence[str]) -> int:
    """The command's exit status; a usage error ends in SystemExit."""
    given = list(arguments)
    # What follows a sandbox's name belongs to the sandbox, flags too: argparse would take some for its own.
    if given[:1] == ["sandbox"] and len(given) > 1 and not given[1].startswith("-"):
        given.insert(2, "--")
    return _call(_parser().parse_args(given))


def _call(options: argparse.Namespace) -> int:
    from config.errors import ConfigError, StoreUnavailable, VaultError

    module, _, name = cast("str", options.command).partition(":")
    try:
        command = cast("Command", getattr(importlib.import_module(module), name))
        return command(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader went first: there is nobody left to tell
        return CANNOT
    except ConfigError as error:
        return _refuse(str(error))
    except StoreUnavailable as error:
        return _refuse(f"a store cannot be used: {error}; see `countersign doctor`.")
    except VaultError as error:
        return _refuse(f"the vault cannot be opened: {error}; is this the master key of this database?")
    except Exception as error:  # named inside only: a command that succeeds need not load the domain's errors
        from normalizer.errors import CountersignError

        if not isinstance(error, CountersignError):
            raise
        findings = getattr(error, "findings", ())
        listed = "".join(f" {one.where}: {one.problem} {one.remedy}".rstrip() for one in findings)
        return _refuse(" ".join(f"{error.detail}{listed} {error.remedy}".split()))


def _refuse(text: str) -> int:
    print(f"countersign: {text}", file=sys.stderr)
    return CANNOT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="countersign", description="A provider-agnostic e-signature gateway and webhook hub."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(title="commands", metavar="command", required=True)
    _add_running(commands)
    _add_administration(commands)
    _add_evidence(commands)
    _add_repair(commands)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"countersign {version('countersign-gateway')}")
        parser.exit()


def _add(
    commands: Commands, name: str, command: str, text: str, *, json: bool = False
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text[:1].upper() + text[1:] + ".")
    parser.set_defaults(command=f"gateway.cli.{command}")
    if json:
        parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def _group(commands: Commands, name: str, text: str) -> Commands:
    parser = commands.add_parser(name, help=text, description=text[:1].upper() + text[1:] + ".")
    return parser.add_subparsers(metavar="action", required=True)


def _add_running(commands: Commands) -> None:
    up = _add(commands, "up", "up:up", "run everything on this machine, with sandboxes, for development")
    up.add_argument("--port", type=int, default=None, help="of the gateway (8400); the sandboxes follow")
    up.add_argument("--data-dir", default=None, help="where everything is kept (.countersign)")
    up.add_argument("--verbose", action="store_true", help="show every line that the processes write")

    demo = _add(commands, "demo", "demo.run:demo", "show the whole story on a PDF and prove it", json=True)
    demo.add_argument("--pdf", metavar="FILE", help="the document to sign; a sample contract without it")
    demo.add_argument("--keep", metavar="DIR", help="where signed PDFs and ledgers are saved")

    serve = _add(commands, "serve", "serve:serve", "serve HTTP")
    serve.add_argument("--host", default=None, help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=int, default=None, help="port to listen on (8400); 0 takes a free one")
    serve.add_argument("--workers", type=int, default=None, help="processes that serve (1)")
    _add(commands, "deliverer", "background:deliverer", "deliver webhooks; any number may run")
    _add(commands, "worker", "background:worker", "carry out background jobs; any number may run")
    _add(commands, "scheduler", "background:scheduler", "wake what is due; one is enough, two do no harm")

    _add_listen(commands)
    sandbox = _add(commands, "sandbox", "sandbox:sandbox", "run a provider's sandbox")
    sandbox.add_argument("provider", help="for example docusign or adobe-sign")
    sandbox.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on; try --help")


def _add_listen(commands: Commands) -> None:
    listen = _add(
        commands, "listen", "listen:listen", "get, verify and print webhooks on this machine", json=True
    )
    listen.add_argument("--api", default="", help="the gateway's address (that of a running `up`)")
    listen.add_argument(
        "--key-file", metavar="FILE", default="", help="holds the key; else COUNTERSIGN_API_KEY"
    )
    listen.add_argument("--events", default="", help="types, separated by commas (all)")
    listen.add_argument("--filter", metavar="JSON", default="", help="only events that match")
    listen.add_argument("--url", default="", help="a tunnel's public address that leads to --port")
    listen.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    listen.add_argument(
        "--forward", metavar="URL", default="", help="pass each on, and answer what it answers"
    )
    listen.add_argument("--keep", action="store_true", help="leave the endpoint at the end")


def _add_administration(commands: Commands) -> None:
    _add(commands, "migrate", "migrate:migrate", "bring the database to the newest revision")
    tenant = _group(commands, "tenant", "make and list tenants")
    create = _add(tenant, "create", "tenant:create", "make a tenant", json=True)
    create.add_argument("name")
    create.add_argument("--require-idempotency", action="store_true", help="refuse POST without a key")
    _add(tenant, "list", "tenant:list_all", "list the tenants", json=True)

    key = _group(commands, "key", "issue, list and revoke API keys")
    issue = _add(key, "create", "key:create", "issue a key; its secret is shown this once", json=True)
    issue.add_argument(
        "--tenant", required=True, help="ten_..., default, or system for an administrator's key"
    )
    issue.add_argument("--label", required=True, help="what uses the key")
    issue.add_argument(
        "--scope", action="append", default=[], help="repeatable; without it all of a tenant's"
    )
    issue.add_argument("--expires-days", type=float, default=None, help="days until the key ends")
    listing = _add(key, "list", "key:list_all", "list a tenant's keys, without their secrets", json=True)
    listing.add_argument("--tenant", required=True, help="ten_..., default or system")
    revoke = _add(key, "revoke", "key:revoke", "end a key")
    revoke.add_argument("--tenant", required=True, help="ten_..., default or system")
    revoke.add_argument("key", help="key_...")

    provider = _group(commands, "provider", "providers and the connections to them")
    _add(provider, "list", "provider:list_all", "list the providers and what connects them", json=True)
    check = _add(provider, "check", "provider:check", "ask providers whether credentials work", json=True)
    check.add_argument("--tenant", default=None, help="ten_... or default; without it, every tenant")
    _add(
        provider,
        "adopt",
        "provider:adopt",
        "make the default connections that the settings describe",
        json=True,
    )
    keys = _group(commands, "keys", "the keys of the vault")
    _add(keys, "rotate-master", "keys:rotate_master", "wrap every data key with the current master key")


def _add_evidence(commands: Commands) -> None:
    ledger = _group(commands, "ledger", "verify and export the ledger")
    verify = _add(ledger, "verify", "ledger:verify", "verify chains; status 1 when one is violated")
    which = verify.add_mutually_exclusive_group(required=True)
    which.add_argument("--envelope", help="env_...: the envelope's chain")
    which.add_argument("--tenant", help="ten_..., default or system: all its chains")
    which.add_argument("--all", action="store_true", help="every chain of the installation")
    export = _add(ledger, "export", "ledger:export", "write a chain for the stand-alone verifier")
    which = export.add_mutually_exclusive_group(required=True)
    which.add_argument("--envelope", help="env_...: the envelope's chain")
    which.add_argument("--tenant", help="ten_..., default or system: its own chain")
    export.add_argument("--output", "-o", default="-", help="file to write; standard output without it")

    signed = _add(
        commands,
        "verify",
        "verify:verify",
        "verify the signatures of a PDF; status 1 unless valid",
        json=True,
    )
    signed.add_argument("file", help="the PDF")
    signed.add_argument("--trust", metavar="PEM", help="file of further root certificates to trust")
    signed.add_argument("--offline", action="store_true", help="ask nobody whether certificates were revoked")
    signed.add_argument("--language", default="en", help="of the words: en or de")

    documents = _group(commands, "documents", "the documents that are stored")
    again = _add(documents, "verify", "documents:verify", "read and hash all of them; status 1 for damage")
    again.add_argument("--tenant", default=None, help="ten_... or default; without it, every tenant")


def _add_repair(commands: Commands) -> None:
    replay = _group(commands, "replay", "process or send again")
    inbound = _add(replay, "inbound", "replay:inbound", "process kept provider messages again", json=True)
    inbound.add_argument("--tenant", help="ten_... or default: everything of it that waits or failed")
    inbound.add_argument("messages", nargs="*", metavar="message", help="msg_...")
    deliveries = _add(replay, "deliveries", "replay:deliveries", "send deliveries again", json=True)
    deliveries.add_argument("--tenant", required=True, help="ten_... or default")
    deliveries.add_argument("--endpoint", help="ep_...: everything that it never got")
    deliveries.add_argument("deliveries", nargs="*", metavar="delivery", help="dlv_...")

    jobs = _group(commands, "jobs", "jobs and messages that were given up")
    _add(jobs, "list-dead", "jobs:list_dead", "list them with the reason", json=True)
    redrive = _add(jobs, "redrive", "jobs:redrive", "try them again", json=True)
    redrive.add_argument("jobs", nargs="*", metavar="job", help="job_...; without any, all of them")

    _add(
        commands,
        "doctor",
        "doctor:doctor",
        "check settings, stores, connections, webhooks, what waits",
        json=True,
    )


if __name__ == "__main__":
    sys.exit(main())
