"""Timestamp authorities that fail, refuse or lie: none of their answers makes a seal, and the next one is asked."""

import asyncio
import hashlib
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from asn1crypto import algos, tsp

from config.clock import SystemClock
from config.settings_sealing import SealLevel
from engine.development.authority_keys import Authority, open_authority
from engine.development.authority_timestamps import POLICY, answer_timestamp
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.sealer import OwnStamps
from engine.sealing.timestamps import HttpAuthority, Timestamps
from engine.sealing.tokens import TimestampResponse, judge_token
from tests.sealing.authority import root_of, served

DIGEST = hashlib.sha256(b"the head").digest()


class Says:
    """An authority that answers as the test wants."""

    def __init__(self, answer, name: str = "lying") -> None:
        self.name = name
        self.answer = answer
        self.asked = 0

    async def ask(self, query: bytes) -> bytes:
        self.asked += 1
        return self.answer(query)


class Clock(SystemClock):
    """Time that the test moves."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self):
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return self.ahead.total_seconds() + 1000.0


def stamps(*authorities, clock=None, roots=(), rest_s: float = 60.0) -> Timestamps:
    return Timestamps(authorities, clock or Clock(), rest_s=rest_s, roots=roots)


def ask(timestamps: Timestamps):
    return asyncio.run(timestamps.stamp(DIGEST))


def query_of(**changes) -> bytes:
    facts = {
        "version": "v1",
        "message_imprint": {
            "hash_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
            "hashed_message": DIGEST,
        },
        "nonce": 77,
        "cert_req": True,
    }
    return tsp.TimeStampReq(facts | changes).dump()


def test_a_good_token_says_when_by_whom_and_about_what(authority):
    facts = ask(stamps(OwnStamps(authority), roots=[root_of(authority)]))
    assert facts.imprint == DIGEST
    assert facts.policy == POLICY
    assert facts.authority == "Countersign DEVELOPMENT - no legal effect: timestamps"


@pytest.mark.parametrize(
    ("name", "tamper", "words"),
    [
        ("nonce", lambda a, q: answer_timestamp(a, query_of(nonce=1)), "nonce"),
        (
            "imprint",
            lambda a, q: answer_timestamp(
                a,
                query_of(
                    message_imprint={
                        "hash_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
                        "hashed_message": bytes(32),
                    },
                    nonce=tsp.TimeStampReq.load(q)["nonce"].native,
                ),
            ),
            "other bytes",
        ),
        ("refusal", lambda a, q: answer_timestamp(a, query_of(req_policy="1.2.3")), "refused"),
        ("nonsense", lambda a, q: b"no token", "cannot be read"),
        ("empty", lambda a, q: b"", "cannot be read"),
        (
            "signature",
            lambda a, q: _with_flipped_signature(answer_timestamp(a, q)),
            "signature is wrong",
        ),
        ("time", lambda a, q: _with_other_time(answer_timestamp(a, q)), "not what its authority signed"),
        ("no certificate", lambda a, q: answer_timestamp(a, _without_certificates(q)), "certificate"),
    ],
)
def test_an_answer_that_is_wrong_is_rejected(authority, name, tamper, words):
    lying = Says(lambda query: tamper(authority, query))
    with pytest.raises(SealingFailed) as caught:
        ask(stamps(lying))
    assert caught.value.trouble is SealTrouble.TIMESTAMP_REJECTED, name
    assert words in caught.value.detail


def test_a_token_by_a_certificate_that_is_not_for_timestamps_is_rejected(authority, tmp_path):
    other = open_authority(tmp_path / "other")
    other.timestamps = other.issue("Countersign DEVELOPMENT signer, not a timestamp authority")
    with pytest.raises(SealingFailed) as caught:
        ask(stamps(OwnStamps(other)))
    assert "not for timestamps" in caught.value.detail


def test_a_token_of_a_stranger_is_rejected_when_roots_are_configured(authority, tmp_path):
    stranger = open_authority(tmp_path / "stranger")
    with pytest.raises(SealingFailed) as caught:
        ask(stamps(OwnStamps(stranger), roots=[root_of(authority)]))
    assert "trust roots" in caught.value.detail


def test_a_token_whose_time_is_far_from_ours_is_rejected(authority):
    clock = Clock()
    clock.ahead = timedelta(minutes=6)
    with pytest.raises(SealingFailed) as caught:
        ask(stamps(OwnStamps(authority), clock=clock))
    assert "five minutes" in caught.value.detail


def test_the_next_authority_is_asked_when_the_first_lies(authority):
    lying = Says(lambda _: b"no token")
    assert ask(stamps(lying, OwnStamps(authority))).imprint == DIGEST
    assert lying.asked == 1


def test_an_authority_that_failed_twice_rests_and_is_asked_again_after_its_rest(authority):
    clock = Clock()
    lying = Says(lambda _: b"no token")
    timestamps = stamps(lying, OwnStamps(authority), clock=clock, rest_s=60)
    for _ in range(4):
        ask(timestamps)
    assert lying.asked == 2
    clock.ahead = timedelta(seconds=61)
    ask(timestamps)
    assert lying.asked == 3


@pytest.mark.parametrize("status", [200, 404, 500, 302])
def test_an_authority_over_http_that_does_not_stamp_is_unavailable(status):
    async def handle(_: web.Request) -> web.Response:
        return web.Response(status=status, text="no", headers={"Location": "http://127.0.0.1:1/"})

    def make(_: str) -> web.Application:
        app = web.Application()
        app.router.add_post("/tsa", handle)
        return app

    with served(make) as url, pytest.raises(SealingFailed) as caught:
        ask(stamps(HttpAuthority(f"{url}/tsa", timeout_s=5)))
    wanted = SealTrouble.TIMESTAMP_REJECTED if status == 200 else SealTrouble.TIMESTAMP_UNAVAILABLE
    assert caught.value.trouble is wanted


def test_an_authority_that_nobody_listens_for_is_unavailable():
    with pytest.raises(SealingFailed) as caught:
        ask(stamps(HttpAuthority("http://127.0.0.1:1/tsa", timeout_s=5)))
    assert caught.value.trouble is SealTrouble.TIMESTAMP_UNAVAILABLE


def test_without_any_authority_there_is_no_token():
    with pytest.raises(SealingFailed) as caught:
        ask(stamps())
    assert caught.value.trouble is SealTrouble.TIMESTAMP_UNAVAILABLE


def test_serials_are_never_given_twice_across_restarts(tmp_path):
    first = open_authority(tmp_path)
    serials = [first.next_serial() for _ in range(3)]
    again = open_authority(tmp_path)
    serials += [again.next_serial(), first.next_serial(), again.next_serial()]
    assert len(set(serials)) == 6


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        ({"message_imprint": {"hash_algorithm": algos.DigestAlgorithm({"algorithm": "sha1"}), "hashed_message": bytes(20)}}, "bad_alg"),
        ({"message_imprint": {"hash_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}), "hashed_message": bytes(20)}}, "bad_data_format"),
        ({"req_policy": "1.2.3.4"}, "unaccepted_policy"),
    ],
)  # fmt: skip
def test_the_development_authority_refuses_what_it_does_not_know(authority, changes, failure):
    response = TimestampResponse.load(answer_timestamp(authority, query_of(**changes)))
    assert response["status"]["status"].native == "rejection"
    assert response["status"]["fail_info"].native == {failure}


def test_openssl_asks_the_development_authority_and_believes_it(authority, tmp_path):
    (tmp_path / "content").write_bytes(b"the content")
    _openssl(tmp_path, "ts", "-query", "-data", "content", "-sha256", "-cert", "-out", "q.tsq")
    (tmp_path / "r.tsr").write_bytes(answer_timestamp(authority, (tmp_path / "q.tsq").read_bytes()))
    roots = _roots(authority, tmp_path)
    said = _openssl(tmp_path, "ts", "-verify", "-data", "content", "-in", "r.tsr", "-CAfile", roots)
    assert "Verification: OK" in said
    (tmp_path / "content").write_bytes(b"other content")
    said = _openssl(
        tmp_path, "ts", "-verify", "-data", "content", "-in", "r.tsr", "-CAfile", roots, fails=True
    )
    assert "OK" not in said


def test_openssl_reads_the_status_of_good_and_revoked_certificates(tmp_path):
    from tests.sealing.authority import served_authority

    with served_authority(tmp_path / "authority") as (url, authority):
        roots = _roots(authority, tmp_path)
        issuing = authority.folder / "issuing.pem"
        revoked = authority.issue("Countersign DEVELOPMENT revoked")
        authority.revoke(revoked.certificate)
        from cryptography.hazmat.primitives.serialization import Encoding

        (tmp_path / "revoked.pem").write_bytes(revoked.certificate.public_bytes(Encoding.PEM))
        for name, word in ((authority.folder / "seal.pem", "good"), (tmp_path / "revoked.pem", "revoked")):
            said = _openssl(
                tmp_path, "ocsp", "-issuer", issuing, "-cert", name, "-url", f"{url}/ocsp", "-CAfile", roots
            )
            assert f": {word}" in said
            assert "Response verify OK" in said


def test_the_authoritys_keys_are_its_owners_alone_and_production_refuses_it(tmp_path):
    from config.errors import ConfigError
    from config.settings import Mode

    authority = open_authority(tmp_path / "authority")
    assert {path.stat().st_mode & 0o777 for path in authority.folder.glob("*.key")} == {0o600}
    with pytest.raises(ConfigError):
        open_authority(tmp_path / "authority", mode=Mode.PRODUCTION)
    assert "DEVELOPMENT" in authority.seal.certificate.subject.rfc4514_string()


def test_judging_needs_no_nonce_when_none_was_sent(authority: Authority):
    answer = tsp.TimeStampResp.load(answer_timestamp(authority, query_of()))
    facts = judge_token(answer["time_stamp_token"].dump(), DIGEST, "sha256", None, SystemClock().now())
    assert facts.imprint == DIGEST
    assert SealLevel.B_T == "B-T"


def _with_flipped_signature(answer: bytes) -> bytes:
    response = tsp.TimeStampResp.load(answer)
    signature = response["time_stamp_token"]["content"]["signer_infos"][0]["signature"].native
    place = answer.rindex(signature)
    # In the last integer's last byte, so that the form stays right.
    end = place + len(signature) - 1
    return answer[:end] + bytes([answer[end] ^ 1]) + answer[end + 1 :]


def _with_other_time(answer: bytes) -> bytes:
    moment = (
        tsp.TimeStampResp.load(answer)["time_stamp_token"]["content"]["encap_content_info"]["content"]
        .parsed["gen_time"]
        .contents
    )
    place = answer.index(moment)
    second = bytes(
        [48 + (moment[13] - 48 + 1) % 10]
    )  # the second's last digit: within what clocks may differ
    return answer[: place + 13] + second + answer[place + 14 :]


def _without_certificates(query: bytes) -> bytes:
    request = tsp.TimeStampReq.load(query)
    return query_of(nonce=request["nonce"].native, cert_req=False, message_imprint=request["message_imprint"])


def _roots(authority: Authority, folder: Path) -> Path:
    path = folder / "roots.pem"
    path.write_bytes(
        b"".join((authority.folder / f"{name}.pem").read_bytes() for name in ("root", "issuing"))
    )
    return path


def _openssl(folder: Path, *arguments, fails: bool = False) -> str:
    done = subprocess.run(
        ["openssl", *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode != 0) is fails, done.stdout + done.stderr
    return done.stdout + done.stderr
