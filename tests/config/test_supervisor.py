"""Named child processes: order, restarts, stubborn ones, and the supervisor's own death."""

import asyncio
import io
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from config.processes import command_line
from config.supervisor import ChildSpec, Supervisor


def child(name: str, code: str, **options) -> ChildSpec:
    return ChildSpec(name=name, command=(sys.executable, "-u", "-c", code), **options)


SLEEPER = "import time; print('up'); time.sleep(600)"


async def until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def is_gone(pid: int) -> bool:
    return command_line(pid) == ""


async def test_children_are_stopped_in_reverse_order_and_their_lines_carry_names() -> None:
    output = io.StringIO()
    code = (
        "import signal, sys, time\n"
        "def leave(*_):\n    print('bye', flush=True); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, leave); print('up'); time.sleep(600)"
    )
    async with Supervisor(output) as supervisor:
        for name in ("store", "gateway"):
            await supervisor.start(child(name, code, env={"COLOUR": "blue"}))
        await until(lambda: output.getvalue().count("up") == 2)
        pids = [supervisor.pid("store"), supervisor.pid("gateway")]
    lines = output.getvalue().splitlines()
    assert sorted(lines[:2]) == ["gateway | up", "store | up"]
    assert lines[2:] == ["gateway | bye", "store | bye"]
    assert all(is_gone(pid) for pid in pids)


async def test_child_that_ends_is_started_again_and_one_that_may_end_is_not() -> None:
    output = io.StringIO()
    async with Supervisor(output) as supervisor:
        await supervisor.start(child("server", SLEEPER))
        await supervisor.start(child("once", "print('done')", restart=False))
        await until(lambda: "server | up" in output.getvalue())
        first = supervisor.pid("server")
        os.kill(first, signal.SIGKILL)
        await until(
            lambda: supervisor.restarts("server") == 1 and output.getvalue().count("server | up") == 2
        )
        assert supervisor.pid("server") != first
        await until(lambda: "once | done" in output.getvalue())
        assert supervisor.restarts("once") == 0
        with pytest.raises(KeyError):
            supervisor.pid("once")


async def test_child_that_ignores_the_request_is_killed() -> None:
    output = io.StringIO()
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(600)"
    )
    async with Supervisor(output) as supervisor:
        await supervisor.start(child("stubborn", stubborn, stop_within_s=0.2))
        await until(lambda: "up" in output.getvalue())
        pid = supervisor.pid("stubborn")
    assert is_gone(pid)


async def test_group_of_a_child_that_was_killed_is_ended_too() -> None:
    output = io.StringIO()
    code = (
        f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]).pid); {SLEEPER}"
    )
    async with Supervisor(output) as supervisor:
        await supervisor.start(child("master", code, restart=False))
        await until(lambda: "up" in output.getvalue())
        (worker,) = (
            int(line.split()[-1]) for line in output.getvalue().splitlines() if line.split()[-1].isdecimal()
        )
        os.kill(supervisor.pid("master"), signal.SIGKILL)
        await until(lambda: is_gone(worker) or "Z" in Path(f"/proc/{worker}/stat").read_text())


async def test_start_waits_for_readiness_and_reports_a_child_that_never_becomes_ready() -> None:
    asked = 0

    async def ready() -> bool:
        nonlocal asked
        asked += 1
        return asked == 3

    async def never() -> bool:
        return False

    async with Supervisor(io.StringIO()) as supervisor:
        await supervisor.start(child("server", SLEEPER), ready=ready)
        assert asked == 3
        with pytest.raises(ValueError, match="server"):
            await supervisor.start(child("server", SLEEPER))
        with pytest.raises(RuntimeError, match="broken"):
            await supervisor.start(child("broken", "raise SystemExit(3)", restart=False), ready=never)


async def test_stop_during_the_pause_before_a_restart_does_not_wait_for_it() -> None:
    async with Supervisor(io.StringIO()) as supervisor:
        await supervisor.start(child("crasher", "raise SystemExit(1)"))
        await until(lambda: supervisor.restarts("crasher") == 2)
    with pytest.raises(StopIteration):
        supervisor.restarts("crasher")


async def test_children_of_a_supervisor_that_is_killed_die_with_it(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from config.supervisor import ChildSpec, Supervisor\n"
        "async def main():\n"
        "    async with Supervisor(sys.stdout) as supervisor:\n"
        f"        await supervisor.start(ChildSpec(name='c', command=(sys.executable, '-u', '-c', {SLEEPER!r})))\n"
        "        print(supervisor.pid('c'), flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    grandchild = int((await process.stdout.readline()).split()[0])
    await process.stdout.readline()
    process.kill()
    await process.wait()
    deadline = time.monotonic() + 20
    while not is_gone(grandchild):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
