"""How to act in the Acrobat Sign sandbox."""

from typing import Any, ClassVar

import httpx
import msgspec

from adapters.kit.port import RawRequest


class ProviderHand:
    operations: ClassVar[dict[str, str]] = {
        "create": "create_agreement",
        "get": "get_agreement",
        "download": "get_combined",
        "completed": "AGREEMENT_WORKFLOW_COMPLETED",
    }
    template_ref = "CBJCHBCAABAAsandboxTemplateTwoParty"
    template_roles = ("1", "2")

    def __init__(self, url: str) -> None:
        self._url = f"{url}/sandbox"

    async def view(self, ref: str, email: str) -> None:
        await self._act(ref, action="view", participant=email)

    async def sign(self, ref: str, email: str) -> None:
        await self._act(ref, action="sign", participant=email)

    async def decline(self, ref: str, email: str, reason: str) -> None:
        await self._act(ref, action="decline", participant=email, comment=reason)

    async def expire(self, ref: str) -> None:
        await self._act(ref, action="expire")

    async def break_webhooks(self, url: str, ref: str) -> None:
        listed = await self._send("GET", "/webhooks")
        (own,) = [
            one for one in listed if one.get("resourceId") == ref and one["webhookUrlInfo"]["url"] == url
        ]
        await self._send("POST", f"/webhooks/{own['id']}/disable")

    async def break_next(self, kind: str, operation: str, *, seconds: float = 0, count: int = 1) -> None:
        match = {"operation": self.operations.get(operation, operation), "count": count, "seconds": seconds}
        await self._send("POST", "/faults", {"kind": kind, "match": match})

    async def heal(self) -> None:
        await self._send("DELETE", "/faults")

    def spoil_credentials(self, credentials: dict[str, Any]) -> dict[str, Any]:
        return credentials | {"refresh_token": "died-after-60-days"}

    def forgeries(self, post: RawRequest) -> list[RawRequest]:
        """There is no signature: the client id is all that a post shows."""
        unnamed = tuple(pair for pair in post.headers if pair[0] != "x-adobesign-clientid")
        return [
            msgspec.structs.replace(post, headers=unnamed),
            msgspec.structs.replace(post, headers=(*unnamed, ("x-adobesign-clientid", "somebody-else"))),
        ]

    async def _act(self, ref: str, **action: str) -> None:
        await self._send("POST", f"/agreements/{ref}/actions", action)

    async def _send(self, method: str, path: str, body: Any = None) -> Any:
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            answer = await client.request(method, self._url + path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()
