"""A small signing service: as much of the Cloud Signature Consortium's API, versions 1 and 2, as signing takes.

It refuses what a real one refuses: a wrong token or PIN, a permission used twice or for another digest.
"""

import base64
import hashlib
import secrets
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding

TOKEN, PIN = "canary-token-of-the-service", "4711"
_SHA256 = "2.16.840.1.101.3.4.2.1"
_ECDSA = "1.2.840.10045.4.3.2"


class SigningService:
    """`faults`: paths that answer otherwise: with a status, or with a place to go to."""

    def __init__(self, issued: Any, issuers: tuple[Any, ...], version: str) -> None:
        self.issued, self.issuers, self.version = issued, issuers, version
        self.permits: dict[str, list[str]] = {}
        self.signed = 0
        self.faults: dict[str, int | str] = {}

    def app(self) -> web.Application:
        app = web.Application()
        for path, answer in (
            ("credentials/info", self._info),
            ("credentials/authorize", self._authorize),
            ("signatures/signHash", self._sign),
        ):
            app.router.add_post(f"/csc/{self.version}/{path}", self._guarded(path, answer))
        return app

    def _guarded(self, path: str, answer: Any) -> Any:
        async def serve(request: web.Request) -> web.Response:
            fault = self.faults.get(path)
            if isinstance(fault, str):
                raise web.HTTPTemporaryRedirect(fault)
            if fault is not None:
                return web.Response(status=fault)
            if request.headers.get("authorization") != f"Bearer {TOKEN}":
                raise web.HTTPUnauthorized
            given = await request.json()
            if given["credentialID"] != "cred-1":
                raise web.HTTPBadRequest
            return web.json_response(answer(given))

        return serve

    def _hashes(self, given: dict[str, Any]) -> list[str]:
        """Each version has its own word, and this service takes no other."""
        unknown = {"hash", "hashes"} - {"hash" if self.version == "v1" else "hashes"}
        if unknown & given.keys():
            raise web.HTTPBadRequest
        return given["hash" if self.version == "v1" else "hashes"]

    def _info(self, _: dict[str, Any]) -> Any:
        chain = (self.issued.certificate, *self.issuers)
        ders = [base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in chain]
        return {
            "cert": {"status": "valid", "certificates": ders},
            "key": {"status": "enabled", "algo": [_ECDSA], "len": 256},
            "authMode": "explicit",
            "SCAL": "2",
            "multisign": 1,
        }

    def _authorize(self, given: dict[str, Any]) -> Any:
        if given.get("PIN") != PIN:
            raise web.HTTPBadRequest
        permit = secrets.token_hex(8)
        self.permits[permit] = self._hashes(given)
        return {"SAD": permit, "expiresIn": 60}

    def _sign(self, given: dict[str, Any]) -> Any:
        wanted = self._hashes(given)
        algorithm = given["hashAlgo" if self.version == "v1" else "hashAlgorithmOID"]
        if self.permits.pop(given["SAD"], None) != wanted or (algorithm, given["signAlgo"]) != (
            _SHA256,
            _ECDSA,
        ):
            raise web.HTTPBadRequest
        digest = base64.b64decode(wanted[0])
        assert len(digest) == hashlib.sha256().digest_size
        self.signed += 1
        signature = self.issued.key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        return {"signatures": [base64.b64encode(signature).decode()]}
