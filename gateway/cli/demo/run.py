"""`countersign demo`: starts everything in a temporary folder, tells the story, saves, proves, and ends.

Exit status 0 only when the verdict is ok. With --json exactly one object goes to standard output.
Must use nothing of the machine's own installation: settings of the environment are put aside.
"""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import msgspec

from config.errors import ConfigError, StoreUnavailable
from config.exit import exit_now
from config.logging import configure_logging
from config.settings import ENVIRONMENT_PREFIXES, Settings
from config.settings_source import CONFIG_FILE_VARIABLE, load_settings, section_fields, variable_name
from gateway.cli.child_output import ChildOutput
from gateway.cli.demo.browser import NoBrowser, open_browser
from gateway.cli.demo.client import Dms
from gateway.cli.demo.ending import Scene
from gateway.cli.demo.forms import ByForms
from gateway.cli.demo.people import Ceremony
from gateway.cli.demo.receiver import Receiver
from gateway.cli.demo.report import Report, judge, new_folder
from gateway.cli.demo.story import Story
from gateway.cli.demo.timeline import DemoFailed, Timeline
from gateway.cli.development import Development, RunningSandbox, ensure_development
from gateway.cli.house import open_house
from gateway.cli.house_plan import HousePlan
from gateway.cli.sample import FIRST_SIGNER, SECOND_SIGNER, Place, last_page_place, write_sample
from gateway.composition import open_services


def demo(options: argparse.Namespace) -> int:
    """Exit status 0 when everything came and was proved."""
    configure_logging("critical")
    keep = Path(options.keep).absolute() if options.keep else None
    pdf = Path(options.pdf).absolute() if options.pdf else None
    report = Report()
    timeline = Timeline(None if options.json else sys.stdout)
    try:
        asyncio.run(_run(report, timeline, pdf, keep))
    except (DemoFailed, ConfigError, StoreUnavailable) as error:
        report.problem = str(error)
    except asyncio.CancelledError:
        report.problem = "stopped before the end"
    except OSError as error:  # of the folders that it writes
        report.problem = f"{error.filename or 'a file'} cannot be used: {error.strerror or error}"
    report.ok = not report.problem
    report.seconds = round(timeline.seconds, 2)
    _conclude(report, timeline, as_json=options.json)
    exit_now(0 if report.ok else 1)


async def _run(report: Report, timeline: Timeline, pdf: Path | None, keep: Path | None) -> None:
    _end_on_signals()
    folder = keep or new_folder(Path(".countersign/demo").absolute())
    folder.mkdir(parents=True, exist_ok=True)
    report.folder = str(folder)
    document, name, places = _document(pdf, folder)
    data_dir = Path(tempfile.mkdtemp(prefix="countersign-demo-"))
    output = ChildOutput(folder / "processes.log", None)
    try:
        await _in_house(report, timeline, data_dir, output, document, name, places)
    except (DemoFailed, ConfigError, StoreUnavailable, httpx.HTTPError) as error:
        told = f"a process does not answer ({error!r})" if isinstance(error, httpx.HTTPError) else str(error)
        raise DemoFailed(f"{told}\nWhat the processes said stands in {folder / 'processes.log'}.") from error
    finally:
        output.close()
        shutil.rmtree(data_dir, ignore_errors=True)
    report.problem = judge(report)
    (folder / "report.json").write_bytes(
        msgspec.json.format(
            msgspec.json.encode(msgspec.structs.replace(report, ok=not report.problem)), indent=2
        )
    )


async def _in_house(
    report: Report,
    timeline: Timeline,
    data_dir: Path,
    output: ChildOutput,
    document: bytes,
    name: str,
    places: tuple[Place, Place],
) -> None:
    async def prepare(settings: Settings, sandboxes: list[RunningSandbox]) -> Development:
        async with open_services(settings, name="countersign demo") as services:
            file = data_dir / "development.json"
            return await ensure_development(services, file, sandboxes, tenant_name="Demo")

    plan = HousePlan(
        data_dir=data_dir,
        port=0,
        keep_sandboxes=False,
        settings=load_settings(environ={}),
        environment=_nothing_set(),
    )
    async with (
        Receiver() as receiver,
        httpx.AsyncClient(trust_env=False, timeout=httpx.Timeout(60.0)) as client,
    ):
        with timeline.step(
            "start", "PostgreSQL, Valkey, gateway, deliverer, worker, scheduler, sandboxes:"
        ) as added:
            house_context = open_house(plan, output, prepare)
            house = await house_context.__aenter__()
            added.append(house.url)
        try:
            scene = Scene(
                house=house,
                dms=Dms(client, house.url, house.development.tenant_key),
                receiver=receiver,
                timeline=timeline,
                report=report,
            )
            async with AsyncExitStack() as stack:
                ceremony = await _ceremony(stack, report)
                await Story(scene, client, ceremony).tell(document, name, places)
        finally:
            with timeline.step("stop", "every process"):
                await house_context.__aexit__(None, None, None)


async def _ceremony(stack: AsyncExitStack, report: Report) -> Ceremony:
    """In a real browser where there is one, else by forms; the report says why."""
    try:
        return await stack.enter_async_context(open_browser(Path(report.folder)))
    except NoBrowser as error:
        report.no_browser = str(error)
        return ByForms()


def _document(pdf: Path | None, folder: Path) -> tuple[bytes, str, tuple[Place, Place]]:
    """The PDF to sign, kept beside what comes of it, and where the signatures go."""
    kept = folder / "input.pdf"
    if pdf is None:
        write_sample(kept)
        return kept.read_bytes(), "contract.pdf", (FIRST_SIGNER, SECOND_SIGNER)
    try:
        document = pdf.read_bytes()
        places = last_page_place(pdf)
    except (OSError, ValueError) as error:
        raise DemoFailed(f"{pdf} cannot be used: {error}; choose another with --pdf.") from error
    kept.write_bytes(document)
    return document, pdf.name, places


def _nothing_set() -> dict[str, str]:
    """Every setting's variable, empty, which counts as not set: the machine's own installation is not ours."""
    variables = {
        variable_name(section, name): ""
        for section in ENVIRONMENT_PREFIXES
        for name in section_fields(section)
    }
    return variables | {CONFIG_FILE_VARIABLE: ""}


def _end_on_signals() -> None:
    """The first signal ends the story in order; another must not leave processes behind."""
    story = asyncio.current_task()
    loop = asyncio.get_running_loop()
    told = False

    def end() -> None:
        nonlocal told
        if story is not None and not told:
            told = True
            story.cancel()

    for which in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(which, end)


def _conclude(report: Report, timeline: Timeline, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
        if report.problem:
            print(f"countersign demo: {report.problem}", file=sys.stderr)
        return
    timeline.say("")
    if report.folder:
        timeline.say(f"Saved in {report.folder}")
    if report.ok:
        counted = report.deliveries
        for one in report.envelopes[-1].sealed:
            timeline.say(f"{Path(one.file).name}: {one.summary} Signed by {one.signatures[0]['signer']}.")
        if report.no_browser:
            timeline.say(f"The ceremony was held without a browser: {report.no_browser}.")
        timeline.say(
            f"OK: {len(report.envelopes)} envelopes completed at three providers, {counted['sent']} webhooks verified"
            f" by {counted['standard_library']} and by the design's rule, every ledger verified,"
            f" in {report.seconds:.1f} s."
        )
    else:
        timeline.say(f"NOT OK: {report.problem}")
