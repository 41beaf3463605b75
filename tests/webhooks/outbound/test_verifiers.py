"""The verifiers for receivers in Node, Go, Java, PHP and Ruby: the published vectors, and whatever Python's says.

Each language's program is made once and reads whole files of cases, so that a thousand cost no more than one. A
language that is not installed is skipped by its name.
"""

import base64
import json
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.house.tree import ROOT
from tests.webhooks.outbound.hub import ACTOR, SOURCE, Hub
from tests.webhooks.outbound.make_vectors import (
    BODY,
    FILE,
    ID,
    OLD_SECRET,
    SECRET,
    SEED,
    case,
    public,
    seed,
    sha256,
    standard,
    v1,
    v1a,
)
from tests.webhooks.outbound.receiver import Receiver
from webhooks.outbound.sign import print_public_key
from webhooks.verify import NotVerified, verify_any

FOLDER = ROOT / "docs" / "verifiers"
CASES: list[dict] = json.loads(FILE.read_text(encoding="utf-8"))["cases"]
PROGRAMS = {"node": "node", "go": "go", "java": "javac", "php": "php", "ruby": "ruby"}
RANDOM_CASES = 600

Run = Callable[[list[dict]], dict[str, dict[str, Any]]]


def changed_byte(value: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(value))
    return value[:place] + bytes([value[place] ^ 1 << chance.randrange(7)]) + value[place + 1 :]


def with_changed_body() -> list[dict]:
    """Every valid case with one byte of its body changed."""
    chance = random.Random(1)
    cases = []
    for one in CASES:
        if one["valid"]:
            body = changed_byte(base64.b64decode(one["body_base64"]), chance)
            cases.append(one | {"name": f"{one['name']}~", "body_base64": base64.b64encode(body).decode()})
    return cases


def at_random() -> Iterator[dict]:
    """The published cases with up to three small changes anywhere: many stay valid, Python's verifier says which."""
    chance = random.Random(2)
    names = sorted({name for one in CASES for name in one["headers"]})
    values = [
        v1(SECRET),
        v1a(SEED),
        v1(OLD_SECRET),
        sha256(SECRET),
        ID,
        "",
        " ",
        "v1,",
        "v1a,",
        "é",
        "x" * 9000,
    ]
    keys = [SECRET, OLD_SECRET, public(SEED), "whsec_", "whpk_AAAA", "whsk_AAAA", "k" * 24, "é" * 30, "whpk_" + "A" * 43 + "="]  # fmt: skip
    for number in range(RANDOM_CASES):
        one = dict(chance.choice(CASES)) | {"name": f"random-{number}"}
        headers, held = dict(one["headers"]), list(one["keys"])
        for _ in range(chance.randint(1, 3)):
            match chance.randrange(8):
                case 0:
                    headers[chance.choice(names)] = chance.choice(values)
                case 1 if headers:
                    name = chance.choice(sorted(headers))
                    headers[name] = changed_byte((headers[name] or " ").encode(), chance).decode("latin-1")
                case 2 if headers:
                    headers[chance.choice(sorted(headers))] += chance.choice(
                        [" ", "\t", "\n", " v1,x", "=", "\0"]
                    )
                case 3 if headers:
                    headers.pop(chance.choice(sorted(headers)))
                case 4:
                    held.insert(chance.randint(0, len(held)), chance.choice(keys))
                case 5:
                    one["now"] += chance.choice([-301, -300, 0, 1, 299, 300, 10**10])
                case 6 if headers:
                    headers["webhook-signature"] = " ".join(chance.choices(values, k=chance.randint(1, 24)))
                case _:
                    body = base64.b64decode(one["body_base64"]) or b"{}"
                    one["body_base64"] = base64.b64encode(changed_byte(body, chance)).decode()
        yield one | {"headers": headers, "keys": held}


def odd_bodies() -> Iterator[dict]:
    """Bodies that are signed, by either header, and are webhooks or are none. NaN, comments and unknown escapes are
    not among them: languages' own readers of JSON differ about these, and we never send them.
    """
    bodies = [
        b"\xef\xbb\xbf" + BODY, b" \r\n\t" + BODY + b"\n", BODY + b"x", BODY + BODY, b"[" * 100_000, b"null", b'"text"', b"1",
        b'{"type":"a","type":"envelope.completed","id":"evt_01"}', b'{"Type":"envelope.completed","ID":"evt_01"}',
        b'{"type":"\\u0065nvelope.completed","id":"evt_01"}', b'{"type":"envelope.completed\\n","id":"evt_01"}',
        b'{"type":"envelope.completed","id":null}', b'{"type":"envelope.completed","id":""}', b'{"type":"envelope.completed","id":5}',
        b'{"type":"envelope.completed","id":"evt_01\\n"}', b'{"type":"envelope.completed","id":["evt_01"]}', b'{"type":["a"],"id":"evt_01"}',
        b'{"__proto__":{"type":"envelope.completed"},"id":"evt_01"}', b'{"type":"envelope.completed","id":"evt_01",}', b"{'type':1}",
        b'{"type":"envelope.completed","id":"evt_01","data":{"a":[1,-2.5e3,true,false,null,"\\ud83d\\ude00\\\\\\"\\/\\b"],"b":{},"c":[]}}',
        b'{"type":"envelope.completed","id":"evt_01","data":"\xc3("}', b'{"type":"envelope.completed","id":"evt_01","data":"\n"}',
        b'{"type":"envelope.completed","id":"evt_01","data":01}',
        b'{"type":"' + b"a" * 129 + b'","id":"evt_01"}', b'{"type":"envelope.completed","id":"' + b"a" * 256 + b'"}',
    ]  # fmt: skip
    for number, body in enumerate(bodies):
        yield case(f"odd-v1-{number}", "", standard(v1(SECRET, body)), body)
        yield case(f"odd-seed-{number}", "", seed(sha256(SECRET, body)), body)


def at_the_limits() -> Iterator[dict]:
    """As many signatures, keys and letters as are read, and one more."""
    for count in (19, 20):
        yield case(f"signatures-{count + 1}", "", standard("v1,x " * count + v1(SECRET)))
        yield case(f"keys-{count + 1}", "", standard(v1(SECRET)), keys=[OLD_SECRET] * count + [SECRET])
    for size in (8192, 8193):
        listed = v1(SECRET) + " v9," + "x" * (size - len(v1(SECRET)) - 4)
        yield case(f"header-{size}", "", standard(listed))
    for size in (255, 256):
        body = b'{"type":"envelope.completed","data":{}}'
        yield case(f"id-{size}", "", standard(v1(SECRET, body, id_="i" * size), id_="i" * size), body)
    for size in (23, 24):
        secret = "whsec_" + base64.b64encode(b"k" * size).decode()
        yield case(f"secret-{size}", "", standard(v1(secret)), keys=[secret])
    for at in (10**12 - 1, 10**12):
        yield case(f"at-{at}", "", standard(v1(SECRET, at=at), at=at), now=at)


def judged_by_python(one: dict) -> dict[str, Any]:
    body = base64.b64decode(one["body_base64"])
    try:
        found = verify_any(one["headers"], body, one["keys"], tolerance_s=one["tolerance_s"], now=one["now"])
    except NotVerified:
        return {"ok": False}
    return {"ok": True, **found._asdict()}


def as_written(one: dict) -> dict[str, Any]:
    if not one["valid"]:
        return {"ok": False}
    return {"ok": True} | {name: one[name] for name in ("id", "type", "timestamp", "scheme")}


def make_program(language: str, folder: Path) -> list[str]:
    match language:
        case "node":
            return ["node", str(FOLDER / "verify.mjs")]
        case "go":
            kept = Path(tempfile.gettempdir()) / f"countersign-go-{os.getuid()}"
            kept.mkdir(mode=0o700, exist_ok=True)
            offline = {"GOCACHE": str(kept), "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": ""}
            built = folder / "verify"
            command = ["go", "build", "-o", str(built), str(FOLDER / "verify.go")]
            subprocess.run(command, check=True, env=os.environ | offline)
            return [str(built)]
        case "java":
            subprocess.run(
                ["javac", "-Xlint:all,-serial", "-Werror", "-d", str(folder), str(FOLDER / "Verify.java")],
                check=True,
            )
            return ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", str(folder), "Verify"]
        case "php":
            return ["php", str(FOLDER / "verify.php")]
        case _:
            return ["ruby", "-w", str(FOLDER / "verify.rb")]


@pytest.fixture(scope="module")
def runners(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """By language, for those that are installed."""
    made: dict[str, Run] = {}
    for language, program in PROGRAMS.items():
        if shutil.which(program) is None:
            continue
        folder = tmp_path_factory.mktemp(language)
        command = make_program(language, folder)

        def run(
            cases: list[dict], command: list[str] = command, folder: Path = folder
        ) -> dict[str, dict[str, Any]]:
            file = folder / "cases.json"
            file.write_text(json.dumps({"cases": cases}, ensure_ascii=False), encoding="utf-8")
            said = subprocess.run([*command, str(file)], capture_output=True, check=False, encoding="utf-8")
            assert (said.returncode, said.stderr) == (0, "")
            lines = [json.loads(line) for line in said.stdout.splitlines()]
            assert [line["name"] for line in lines] == [one["name"] for one in cases]
            return {line.pop("name"): line for line in lines}

        made[language] = run
    return made


@pytest.fixture(scope="module", params=PROGRAMS)
def verdicts(request: pytest.FixtureRequest, runners: dict[str, Run]) -> dict[str, dict[str, Any]]:
    """Everything that one language says about every case, in one run of its program."""
    run = runners.get(request.param)
    if run is None:
        pytest.skip(f"{PROGRAMS[request.param]} is not installed")
    return run([*CASES, *with_changed_body(), *at_random(), *odd_bodies(), *at_the_limits()])


def verdict_of(said: dict[str, Any]) -> dict[str, Any]:
    """Without the reason of a refusal, which is there and is each verifier's own."""
    if said["ok"]:
        return said
    assert said["reason"]
    return {"ok": False}


def test_a_verifier_judges_every_published_case_as_it_is_written(verdicts: dict[str, dict[str, Any]]):
    wrong = {
        one["name"]: verdicts[one["name"]]
        for one in CASES
        if verdict_of(verdicts[one["name"]]) != as_written(one)
    }
    assert wrong == {}


def test_a_verifier_refuses_every_published_case_of_which_one_byte_is_changed(
    verdicts: dict[str, dict[str, Any]],
):
    changed = with_changed_body()
    assert len(changed) >= 20
    assert [one["name"] for one in changed if verdicts[one["name"]]["ok"]] == []


@pytest.mark.parametrize("make", [at_random, odd_bodies, at_the_limits])
def test_a_verifier_agrees_with_the_one_in_python(
    verdicts: dict[str, dict[str, Any]], make: Callable[[], Iterator[dict]]
):
    expected = {one["name"]: judged_by_python(one) for one in make()}
    assert {one["ok"] for one in expected.values()} == {True, False}
    said = {name: verdict_of(verdicts[name]) for name in expected}
    assert {name: said[name] for name in said if said[name] != expected[name]} == {}


def test_a_verifiers_reasons_hold_no_secret(verdicts: dict[str, dict[str, Any]]):
    reasons = {verdict["reason"] for verdict in verdicts.values() if not verdict["ok"]}
    assert len(reasons) >= 15
    secrets = {key for one in CASES for key in one["keys"] if len(key) > 20}
    assert not [reason for reason in reasons if any(secret[6:] in reason for secret in secrets)]


async def test_every_verifier_takes_real_deliveries_before_during_and_after_a_rotation(
    hub: Hub, receiver: Receiver, runners: dict[str, Run]
):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, receiver.url)
    async with hub.delivering():
        ids = await hub.emit(tenant)
        await hub.until(lambda: len(receiver.requests) == 1)
        rotated = await hub.desk.rotate_secret(tenant, made.endpoint.id, ACTOR, SOURCE)
        ids += await hub.emit(tenant)
        await hub.until(lambda: len(receiver.requests) == 2)
        last = await hub.desk.rotate_secret(tenant, made.endpoint.id, ACTOR, SOURCE, overlap=timedelta(0))
        ids += await hub.emit(tenant)
        await hub.until(lambda: len(receiver.requests) == 3)
    generations = [
        (one.secret.reveal(), print_public_key(one.endpoint.verify_key)) for one in (made, rotated, last)
    ]
    cases: list[dict] = []
    expected: dict[str, dict[str, Any]] = {}
    for at, request in enumerate(receiver.requests):
        for generation, keys in enumerate(generations):
            fits = generation in ((0,), (0, 1), (2,))[at]
            for key, kept, scheme in (
                (keys[0], "webhook-", "v1"),
                (keys[1], "webhook-", "v1a"),
                (keys[0], "x-signature-", "seed"),
            ):
                name = f"{at}-{generation}-{scheme}"
                headers = {n: v for n, v in request.headers.items() if n.lower().startswith(kept)}
                now = int(next(v for n, v in headers.items() if n.lower().endswith("timestamp")))
                one = case(name, "", headers, request.body, keys=[key], now=now)
                cases.append(one)
                # One signature has room for one generation: until the cutover it is the old one.
                ok = fits and not (scheme == "seed" and (at, generation) == (1, 1))
                expected[name] = {"ok": False}
                if ok:
                    expected[name] = {
                        "ok": True,
                        "id": ids[at],
                        "type": "envelope.sent",
                        "timestamp": now,
                        "scheme": scheme,
                    }
    assert {one["name"]: judged_by_python(one) for one in cases} == expected
    for language, run in runners.items():
        said = {name: verdict_of(verdict) for name, verdict in run(cases).items()}
        assert said == expected, language
