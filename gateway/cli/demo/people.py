"""The people of the demo: they open and sign at the providers' sandboxes, and in the built-in engine's ceremony."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import httpx
import msgspec

from gateway.cli.demo.mailbox import Mailbox
from gateway.cli.demo.timeline import DemoFailed


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """`access_code` is what the sender told them by another way. Who does not draw types."""

    name: str
    email: str
    authentication: str = ""
    access_code: str = ""
    draws: bool = False

    @property
    def first_name(self) -> str:
        return self.name.split()[0]

    def as_recipient(self) -> dict[str, str]:
        """As a request names them."""
        proof = {"authentication": self.authentication, "access_code": self.access_code}
        return {"name": self.name, "email": self.email} | {name: told for name, told in proof.items() if told}


class Person(Protocol):
    """`way`: what the report calls it."""

    way: str

    async def sign(self, provider_ref: str, signer: Signer) -> None:
        """Opens the documents and signs them. Raises DemoFailed with the words of whoever refused."""


class AtDocuSign:
    way = "sandbox"

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = f"{url}/sandbox/envelopes"

    async def sign(self, provider_ref: str, signer: Signer) -> None:
        envelope = checked(await self._client.get(f"{self._url}/{provider_ref}"))
        groups = [group for group in envelope["recipients"].values() if isinstance(group, list)]
        number = next(
            person["recipientId"]
            for group in groups
            for person in group
            if person.get("email") == signer.email
        )
        for action in ("view", "sign"):
            url = f"{self._url}/{provider_ref}/recipients/{number}/{action}"
            checked(await self._client.post(url, json={}))


class AtAdobeSign:
    way = "sandbox"

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = f"{url}/sandbox/agreements"

    async def sign(self, provider_ref: str, signer: Signer) -> None:
        for action in ("view", "sign"):
            told = {"action": action, "participant": signer.email}
            checked(await self._client.post(f"{self._url}/{provider_ref}/actions", json=told))


class Ceremony(Protocol):
    """How the engine's pages are gone through."""

    name: str

    async def sign(self, link: str, signer: Signer, mailbox: Mailbox) -> None: ...


class AtTheEngine:
    """Begins where every signer begins: with the mail."""

    def __init__(self, client: httpx.AsyncClient, mail_url: str, ceremony: Ceremony) -> None:
        self._client = client
        self._mail_url = mail_url
        self._ceremony = ceremony
        self.way = ceremony.name

    async def sign(self, provider_ref: str, signer: Signer) -> None:
        mailbox = Mailbox(self._client, self._mail_url, signer.email)
        await self._ceremony.sign(await mailbox.link(), signer, mailbox)


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
