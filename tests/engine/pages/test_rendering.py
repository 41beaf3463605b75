"""Every page and state as HTML: strict about policy, escaping and forms."""

import json
import re
from html.parser import HTMLParser

import msgspec
import pytest

from engine.ceremony import view
from engine.ceremony.render import render
from tests.engine.pages.samples import PAGES, field, shell, signing

HOSTILE = """"><script>alert(1)</script><img src=x onerror=alert(2)>'</script><!--"""


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(html)
    return parser.found


@pytest.mark.parametrize("name", PAGES)
def test_page_has_nothing_inline_and_loads_from_its_own_origin_only(name: str):
    for tag, attributes in elements(render(PAGES[name])):
        assert "style" not in attributes
        assert not any(attribute.startswith("on") for attribute in attributes)
        if tag == "script":
            assert attributes.get("type") == "application/json" or attributes["src"].startswith("/sign/")
        if tag in {"link", "img"}:
            assert (attributes.get("href") or attributes.get("src") or "").startswith("/sign/")
        assert tag != "style"


@pytest.mark.parametrize("name", PAGES)
def test_page_has_a_language_a_title_one_main_heading_and_unique_ids(name: str):
    html = render(PAGES[name])
    found = elements(html)
    assert found[0] == ("html", {"lang": getattr(PAGES[name], "shell", PAGES[name]).language})
    assert re.search(r"<title>\s*\S", html)
    assert sum(tag == "h1" for tag, _ in found) == 1
    ids = [attributes["id"] for _, attributes in found if "id" in attributes]
    assert sorted(ids) == sorted(set(ids))


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if getattr(page, "shell", None)])
def test_form_of_a_session_posts_to_it_with_its_token(name: str):
    page = PAGES[name]
    base = page.shell.base
    for form in re.findall(r"<form[^>]*>.*?</form>", render(page), re.DOTALL):
        if 'method="dialog"' in form or not base:
            continue
        assert f'action="{base}/' in form
        assert 'name="csrf" value="sample-csrf"' in form


def test_every_control_of_every_page_has_a_label():
    bare = []
    for name, page in PAGES.items():
        html = render(page)
        for tag, attributes in elements(html):
            if tag not in {"input", "select", "textarea"} or attributes.get("type") in {"hidden", "submit"}:
                continue
            wrapped = attributes.get("type") in {"checkbox", "radio"}
            if not wrapped and f'for="{attributes["id"]}"' not in html:
                bare.append((name, attributes))
    assert bare == []


def test_hostile_names_and_messages_stay_text():
    page = signing(
        shell=shell(subject=HOSTILE, message=HOSTILE, sender_name=HOSTILE, recipient_name=HOSTILE),
        fields=(field(1, "text", 1, 1, 1, label=HOSTILE, name=HOSTILE, value=HOSTILE),),
    )
    html = render(page)
    assert "<img src=x" not in html
    assert "alert(1)</script>" not in html.replace("alert(1)\\u003c/script\\u003e", "")
    island = re.search(r'<script type="application/json" id="page">(.*?)</script>', html, re.DOTALL)
    assert json.loads(island[1])["fields"][0]["value"] == HOSTILE


def test_unknown_refusal_reads_as_a_general_one():
    html = render(view.DeclinePage(shell=shell(error="error.of_another_release")))
    assert "That did not work." in html


def test_refusal_is_told_with_its_values():
    html = render(view.DeclinePage(shell=shell(error="error.fields_missing", error_values={"count": "3"})))
    assert "Required fields are still empty: 3." in html


@pytest.mark.parametrize("action", list(view.Action))
@pytest.mark.parametrize("language", ["en", "de"])
def test_every_action_has_words_on_every_page(action: view.Action, language: str):
    for page in PAGES.values():
        given = getattr(page, "shell", None)
        if given is not None:
            changed = msgspec.structs.replace(given, action=action, language=language)
            assert render(msgspec.structs.replace(page, shell=changed))


@pytest.mark.parametrize("kind", ["email", "phone_call", "provider_login", "certificate"])
def test_method_without_a_form_of_its_own_says_so(kind: str):
    html = render(view.AuthenticatePage(shell=shell(step="authenticate"), method=kind, number=1, of=1))
    assert "cannot be done on this page" in html


def test_development_is_marked_on_every_page_of_it():
    assert "nothing signed here is binding" in render(signing(shell=shell(development=True)))
    assert "nothing signed here is binding" not in render(signing())
