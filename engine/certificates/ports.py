"""Keys that lie elsewhere: in a device (PKCS#11) or with a signing service (CSC), behind one port.

How a key is reached is stored in the vault like a key. Must never show a PIN, a password or a token.
"""

from typing import Protocol

import msgspec
from cryptography import x509


class KeyPort(Protocol):
    """Signs with a key that this process does not have. Raises SealingFailed(KEY_UNAVAILABLE) when it cannot be
    used now. MUST NOT be called with a transaction open.
    """

    async def certificates(self) -> tuple[x509.Certificate, ...]:
        """The key's own certificate first, then its issuers as far as the other side knows them."""
        ...

    async def sign(self, content: bytes, digest_algorithm: str) -> bytes:
        """PKCS#1 v1.5 for RSA, DER-encoded ECDSA for elliptic keys."""
        ...


class Pkcs11Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="pkcs11"):
    """A key in a device whose library the settings name: a tenant never names code to be loaded. `key_id` is
    hexadecimal.
    """

    token_label: str
    key_label: str = ""
    key_id: str = ""
    pin: str = ""

    def __repr__(self) -> str:
        return f"Pkcs11Key({self.token_label!r})"


class CscKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="csc"):
    """A credential at a service that speaks the Cloud Signature Consortium's API. `url` stands before /csc; its host
    must be among those that the settings name.

    `token` is sent as Bearer; `pin` authorises each signature where the service asks for one.
    """

    url: str
    credential_id: str
    token: str
    pin: str = ""
    version: str = "v1"

    def __repr__(self) -> str:
        return f"CscKey({self.url!r}, {self.credential_id!r})"


RemoteKey = Pkcs11Key | CscKey
_decoder: "msgspec.json.Decoder[RemoteKey]" = msgspec.json.Decoder(RemoteKey)


def pack(key: RemoteKey) -> bytes:
    """To be encrypted at once."""
    return msgspec.json.encode(key)


def unpack(content: bytes) -> RemoteKey:
    """Raises msgspec.MsgspecError."""
    return _decoder.decode(content)
