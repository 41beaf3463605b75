"""The people of the demo: they open and sign at the providers' sandboxes, as somebody in a browser would."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import httpx

from gateway.cli.demo.timeline import DemoFailed


class Person(Protocol):
    async def sign(self, provider_ref: str, email: str) -> None:
        """Opens the documents and signs them. Raises DemoFailed with the sandbox's words."""


class AtDocuSign:
    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = f"{url}/sandbox/envelopes"

    async def sign(self, provider_ref: str, email: str) -> None:
        envelope = checked(await self._client.get(f"{self._url}/{provider_ref}"))
        groups = [group for group in envelope["recipients"].values() if isinstance(group, list)]
        number = next(
            person["recipientId"] for group in groups for person in group if person.get("email") == email
        )
        for action in ("view", "sign"):
            url = f"{self._url}/{provider_ref}/recipients/{number}/{action}"
            checked(await self._client.post(url, json={}))


class AtAdobeSign:
    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = f"{url}/sandbox/agreements"

    async def sign(self, provider_ref: str, email: str) -> None:
        for action in ("view", "sign"):
            told = {"action": action, "participant": email}
            checked(await self._client.post(f"{self._url}/{provider_ref}/actions", json=told))


PEOPLE: Mapping[str, Callable[[httpx.AsyncClient, str], Person]] = {
    "docusign": AtDocuSign,
    "adobe_sign": AtAdobeSign,
}


def checked(answer: httpx.Response) -> Any:
    """The answer's JSON. Raises DemoFailed unless it is a success."""
    if not answer.is_success:
        raise DemoFailed(
            f"{answer.request.method} {answer.request.url.path} answered {answer.status_code}: {answer.text[:500]}"
        )
    return answer.json()
