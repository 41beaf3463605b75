"""A signer without scripts: reads each page, fills in its form, sends it, and follows where it leads."""

import io
import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx
import msgspec

from gateway.cli.demo.mailbox import Mailbox
from gateway.cli.demo.people import Signer
from gateway.cli.demo.timeline import DemoFailed

_WORD = re.compile(r"^[A-Z0-9]{6}$", re.MULTILINE)


class ByForms:
    """The ceremony by HTTP alone. A drawing needs scripts: everybody types their signature here."""

    name = "http"

    async def sign(self, link: str, signer: Signer, mailbox: Mailbox) -> None:
        """From the link to the last page. Raises DemoFailed with what the page said."""
        headers = {"user-agent": "Countersign demo, without scripts"}
        async with httpx.AsyncClient(
            trust_env=False, timeout=60, headers=headers, follow_redirects=True
        ) as client:
            reader = Reader(client)
            await reader.open(link)
            await reader.send(link.rpartition("/")[2])
            if reader.offers("authenticate/send"):
                await reader.send("authenticate/send")
                await reader.send("authenticate", answer=await mailbox.code())
            if reader.offers("authenticate"):
                await reader.send("authenticate", answer=signer.access_code)
            sample = await client.get(reader.link_to("sample.pdf"))
            await reader.send("consent", demonstration=read_word(sample.content), agree="yes")
            await reader.send("save", signature_text=signer.name, then="review")
            await reader.send("finish", intent="yes")
            reader.must_end_at("done")


def read_word(sample: bytes) -> str:
    """The word that stands in the sample document, read as a person reads it. Raises DemoFailed."""
    import pypdfium2

    with pypdfium2.PdfDocument(io.BytesIO(sample)) as pdf:
        text = pdf[0].get_textpage().get_text_range().replace("\r", "")
    found = _WORD.search(text)
    if found is None:
        raise DemoFailed(f"the sample document has no word to type: {text[:200]!r}")
    return found[0]


class _Form(msgspec.Struct):
    action: str
    values: dict[str, str] = {}


class _Page(HTMLParser):
    """The forms with what their inputs hold already, and the links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[_Form] = []
        self.links: list[str] = []
        self._is_inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.links.append(given.get("href", ""))
        elif tag == "form":
            self.forms.append(_Form(given.get("action", "")))
            self._is_inside = True
        elif tag == "input" and self._is_inside and given.get("name"):
            is_choice = given.get("type") in {"checkbox", "radio"}
            if "checked" in given or not is_choice:
                self.forms[-1].values[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_inside = False


class Reader:
    """Looks at one page at a time; `url` is the page's."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.url = ""
        self._page = _Page("")

    async def open(self, url: str) -> None:
        self._look(await self._client.get(url))

    def offers(self, action: str) -> bool:
        return any(form.action.endswith(f"/{action}") for form in self._page.forms)

    async def send(self, action: str, **filled: str) -> None:
        url, values = self.form(action, **filled)
        self._look(await self._client.post(url, data=values))

    def form(self, action: str, **filled: str) -> tuple[str, dict[str, str]]:
        """Where the page's form that ends in `action` leads, and what it holds already with what is filled in."""
        for form in self._page.forms:
            if form.action.endswith(f"/{action}"):
                return urljoin(self.url, form.action), form.values | filled
        raise DemoFailed(f"{self._where()} has no form for {action}")

    def link_to(self, end: str) -> str:
        for link in self._page.links:
            if link.endswith(end):
                return urljoin(self.url, link)
        raise DemoFailed(f"{self._where()} has no link to {end}")

    def must_end_at(self, step: str) -> None:
        if not self.url.endswith(f"/{step}"):
            raise DemoFailed(f"the ceremony ended at {self._where()}, not at {step}")

    def _look(self, answer: httpx.Response) -> None:
        self.url, self._page = str(answer.url), _Page(answer.text)
        if not answer.is_success:
            text = re.sub(r"<[^>]+>|\s+", " ", answer.text)
            raise DemoFailed(f"{self._where()} answered {answer.status_code}: {' '.join(text.split())[:500]}")

    def _where(self) -> str:
        """The last part only: what stands before it opens the ceremony."""
        return f"the page {self.url.rpartition('/')[2][:20]!r}"
