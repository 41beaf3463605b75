"""How to act in the DocuSign sandbox."""

import base64
from typing import Any, ClassVar

import httpx
import msgspec

from adapters.kit.port import RawRequest

# As the provider's own pages make it, with all that is off by default switched on.
CONFIGURATION: dict[str, Any] = {
    "name": "By hand",
    "configurationType": "custom",
    "allUsers": "true",
    "allowEnvelopePublish": "true",
    "requiresAcknowledgement": "true",
    "enableLog": "true",
    "includeHMAC": "true",
    "deliveryMode": "SIM",
    "events": [
        *(
            f"envelope-{name}"
            for name in ("sent", "delivered", "completed", "declined", "voided", "corrected")
        ),
        *(f"envelope-{name}" for name in ("resent", "purge", "deleted")),
        *(f"recipient-{name}" for name in ("sent", "delivered", "completed", "declined")),
        *(f"recipient-{name}" for name in ("authenticationfailed", "autoresponded", "reassign", "delegate")),
        "recipient-finish-later",
    ],
    "eventData": {"version": "restv2.1", "format": "json", "includeData": ["custom_fields", "recipients"]},
}


class ProviderHand:
    operations: ClassVar[dict[str, str]] = {
        "create": "envelopes.create",
        "get": "envelopes.get",
        "download": "documents.get",
        "completed": "envelope-completed",
    }
    template_ref = "5a0b0c5a-0000-4000-8000-0000000007e2"
    template_roles = ("First", "Second")

    def __init__(self, url: str) -> None:
        self._url = f"{url}/sandbox"

    async def view(self, ref: str, email: str) -> None:
        await self._act(ref, email, "view")

    async def sign(self, ref: str, email: str) -> None:
        await self._act(ref, email, "sign")

    async def decline(self, ref: str, email: str, reason: str) -> None:
        await self._act(ref, email, "decline", {"reason": reason})

    async def expire(self, ref: str) -> None:
        await self._send("POST", f"/envelopes/{ref}/expire")

    async def break_webhooks(self, url: str, ref: str) -> None:
        """An envelope's own notification cannot be switched off; an administrator's of the whole account can."""
        made = await self._send("POST", "/connect", CONFIGURATION | {"urlToPublishTo": url})
        await self._send("POST", f"/connect/{made['connectId']}/disable")

    async def break_next(self, kind: str, operation: str, *, seconds: float = 0, count: int = 1) -> None:
        match = self.operations.get(operation, operation)
        fault = {"kind": kind, "match": match, "count": count, "seconds": seconds}
        await self._send("POST", "/faults", fault)

    async def heal(self) -> None:
        await self._send("DELETE", "/faults")
        await self._send("DELETE", "/connect")

    def spoil_credentials(self, credentials: dict[str, Any]) -> dict[str, Any]:
        return credentials | {"user_id": "00000000-0000-4000-8000-000000000000"}

    def forgeries(self, post: RawRequest) -> list[RawRequest]:
        flipped = bytes([post.body[0] ^ 1]) + post.body[1:]
        unsigned = tuple(pair for pair in post.headers if not pair[0].startswith("x-docusign-signature"))
        guessed = base64.b64encode(bytes(32)).decode()
        return [
            msgspec.structs.replace(post, body=flipped),
            msgspec.structs.replace(post, body=post.body + b" "),
            msgspec.structs.replace(post, headers=unsigned),
            msgspec.structs.replace(post, headers=(*unsigned, ("x-docusign-signature-1", guessed))),
        ]

    async def _act(self, ref: str, email: str, action: str, body: Any = None) -> None:
        envelope = await self._send("GET", f"/envelopes/{ref}")
        groups = (group for group in envelope["recipients"].values() if isinstance(group, list))
        number = next(
            person["recipientId"] for group in groups for person in group if person.get("email") == email
        )
        await self._send("POST", f"/envelopes/{ref}/recipients/{number}/{action}", body or {})

    async def _send(self, method: str, path: str, body: Any = None) -> Any:
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            answer = await client.request(method, self._url + path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()
