"""A key at a signing service that speaks the Cloud Signature Consortium's API, version 1 or 2.

Every signature is authorised for its own digest (credentials/authorize, then signatures/signHash). Only hosts that
the settings name are asked, by https but on this machine itself. MUST NOT be called with a transaction open.
Source: CSC API specification 1.0.4.0 and 2.0.0.2, sections 11.4 to 11.9.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from cryptography import x509
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers.csc_signer import (
    CSCAuthorizationInfo,
    CSCAuthorizationManager,
    CSCServiceSessionInfo,
    CSCSigner,
    fetch_certs_in_csc_credential,
)

from config.database import assert_no_open_transaction
from config.settings_verification import CertificateSettings
from engine.certificates.ports import CscKey
from engine.sealing.errors import SealingFailed, SealTrouble

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_LARGEST = 131_072


class CscPort:
    """Implements KeyPort."""

    def __init__(self, key: CscKey, settings: CertificateSettings) -> None:
        self._key = key
        self._timeout_s = settings.csc_timeout_s
        self._service = CSCServiceSessionInfo(
            service_url=key.url.rstrip("/"),
            credential_id=key.credential_id,
            oauth_token=key.token,
            api_ver=key.version,
        )
        _check_address(key.url, settings.csc_hosts)

    async def certificates(self) -> tuple[x509.Certificate, ...]:
        async with self._asking() as session:
            found = await fetch_certs_in_csc_credential(session, self._service, int(self._timeout_s))
            every = [found.signing_cert, *found.chain]
            return tuple(x509.load_der_x509_certificate(one.dump()) for one in every)

    async def sign(self, content: bytes, digest_algorithm: str) -> bytes:
        async with self._asking() as session:
            found = await fetch_certs_in_csc_credential(session, self._service, int(self._timeout_s))
            permit = _Permit(session, self._service, found, self._key, self._timeout_s)
            signer = _Signer(self._key.version, session, permit, sign_timeout=int(self._timeout_s))
            return bytes(await signer.async_sign_raw(content, digest_algorithm))

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[aiohttp.ClientSession]:
        assert_no_open_transaction()
        try:
            async with aiohttp.ClientSession(middlewares=(_no_redirects,)) as session:
                yield session
        except (SigningError, aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError) as error:
            raise SealingFailed(
                SealTrouble.KEY_UNAVAILABLE, f"the signing service did not sign ({type(error).__name__})"
            ) from error


class _Permit(CSCAuthorizationManager):  # type: ignore[misc]  # the library's types are not followed
    """Asks for the permission to sign one digest, with the PIN where there is one."""

    def __init__(self, session: Any, service: Any, found: Any, key: CscKey, timeout_s: float) -> None:
        super().__init__(service, found)
        self._session = session
        self._key = key
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)

    async def authorize_signature(self, hash_b64s: list[str]) -> CSCAuthorizationInfo:
        body = self.format_csc_auth_request(hash_b64s=hash_b64s, pin=self._key.pin or None)
        if self._key.version == "v2":
            body["hashes"] = body.pop("hash")
            body["hashAlgorithmOID"] = "2.16.840.1.101.3.4.2.1"
        async with self._session.post(
            self.csc_session_info.endpoint_url("credentials/authorize"),
            headers=self.auth_headers,
            json=body,
            raise_for_status=True,
            timeout=self._timeout,
        ) as response:
            return self.parse_csc_auth_response(await response.json())


class _Signer(CSCSigner):  # type: ignore[misc]  # the library's types are not followed
    """pyHanko speaks version 1; version 2 names two members otherwise."""

    def __init__(self, version: str, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._version = version

    async def format_csc_signing_req(self, tbs_hashes: list[str], digest_algorithm: str) -> Any:
        body = await super().format_csc_signing_req(tbs_hashes, digest_algorithm)
        if self._version == "v2":
            body["hashes"] = body.pop("hash")
            body["hashAlgorithmOID"] = body.pop("hashAlgo")
        return body


async def _no_redirects(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
    """A token is for the service that was named, and for nobody whom it names."""
    response: aiohttp.ClientResponse = await handler(request)
    too_long = response.content_length is not None and response.content_length > _LARGEST
    if 300 <= response.status < 400 or too_long:
        response.close()
        raise aiohttp.ClientError("the signing service leads elsewhere or answers at length")
    return response


def _check_address(url: str, hosts: tuple[str, ...]) -> None:
    parts = urlsplit(url)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not is_safe or parts.username or not {parts.netloc, parts.hostname} & set(hosts):
        raise SealingFailed(
            SealTrouble.KEY_UNAVAILABLE, "the signing service is not among those that the settings name"
        )
