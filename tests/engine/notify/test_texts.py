"""Every notice has words in every language, in HTML, in plain text and as a text message."""

import re
from html.parser import HTMLParser

import pytest

from engine.ceremony.pages.wording import LANGUAGES
from engine.notify.notice import VALUES, NoticeKind
from engine.notify.texts import catalogue, write_letter, write_sms
from tests.engine.notify.desk import LINK, make_code, make_request

FULL = {name: f"the {name}" for name in VALUES} | {
    "link": LINK,
    "expires_at": "2026-02-14T12:00:00Z",
    "minutes": "10",
    "days": "7",
    "endpoint": "Orders (https://dms.example)",
    "code": "123456",
}
NEEDED = {"link": LINK, "code": "123456", "minutes": "10"}


class _Reader(HTMLParser):
    """Text and links, and whether every element was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href"]
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read_html(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def write(kind: NoticeKind, language: str, values):
    return write_letter(
        make_request(kind=kind, language=language, values=values),
        product="Countersign",
        abuse="abuse@x.example",
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", NoticeKind)
@pytest.mark.parametrize("values", [FULL, NEEDED], ids=["full", "bare"])
def test_notice_of_every_kind_has_words_in_every_language(kind: NoticeKind, language: str, values):
    letter = write(kind, language, values)
    page = read_html(letter.html)
    sms = write_sms(make_request(kind=kind, language=language, values=values), product="Countersign")
    for text in (letter.subject, letter.plain, page.text, sms):
        assert text.strip()
        assert not re.search(r"\{[{%]|[%}]\}|“”|„“|  [a-z]| ,|\( *\)", text.replace("    123456", "")), text
    assert "abuse@x.example" in letter.plain
    assert "abuse@x.example" in page.text
    assert LINK in page.links
    assert LINK in letter.plain.splitlines()
    assert f'lang="{language}"' in letter.html


@pytest.mark.parametrize("language", LANGUAGES)
def test_catalogue_of_every_language_holds_every_kind_and_no_other(language: str):
    assert set(catalogue(language).kinds) == set(NoticeKind)


def test_languages_differ_in_every_text():
    english, german = (catalogue(language).kinds for language in LANGUAGES)
    same = [kind for kind in NoticeKind if english[kind].subject == german[kind].subject]
    assert same == []


@pytest.mark.parametrize(
    ("wanted", "begins"), [("de-AT", "Bitte"), ("DE_de", "Bitte"), ("", "Please"), ("fr", "Please")]
)
def test_notice_in_a_language_that_we_do_not_speak_is_in_english(wanted: str, begins: str):
    assert write_letter(make_request(language=wanted), product="C", abuse="").subject.startswith(begins)


def test_markup_in_values_is_shown_as_it_was_typed():
    bad = "<script>alert(1)</script>{{ code }}<a href='https://evil.example'>x</a>"
    letter = write_letter(
        make_request(
            name=bad, values=FULL | {"message": bad, "subject": bad, "sender_name": bad, "link": LINK}
        ),
        product="Countersign",
        abuse="",
    )
    page = read_html(letter.html)
    assert "script" not in page.tags
    assert set(page.links) == {LINK}
    assert bad in page.text
    assert bad in letter.plain


def test_a_name_written_from_right_to_left_does_not_move_what_follows():
    letter = write_letter(make_request(name="דוד כהן"), product="Countersign", abuse="")
    assert '<bdi dir="auto">דוד כהן</bdi>,' in letter.html
    assert letter.plain.startswith("Hello \u2068דוד כהן\u2069,")


def test_signs_that_turn_the_direction_or_the_line_are_taken_out_of_names_and_subjects():
    tricky = "Agree\u202eevil\r\nBcc: x@y.example"
    letter = write_letter(make_request(values=FULL | {"subject": tricky}), product="Countersign", abuse="")
    assert "\n" not in letter.subject
    assert "\u202e" not in letter.subject + letter.plain + letter.html


def test_a_message_keeps_its_lines_and_is_quoted():
    letter = write_letter(
        make_request(values=FULL | {"message": "first\r\nsecond"}), product="Countersign", abuse=""
    )
    assert "> first\n> second" in letter.plain
    assert "first<br>second" in letter.html


@pytest.mark.parametrize("kind", [NoticeKind.COMPLETED, NoticeKind.VOIDED, NoticeKind.DECLINED])
def test_news_of_an_ended_envelope_repeat_neither_deadline_nor_message(kind: NoticeKind):
    letter = write(kind, "en", FULL)
    assert "14 February" not in letter.plain
    assert "the message" not in letter.plain + letter.html


def test_the_code_is_in_the_body_and_not_in_the_subject():
    letter = write_letter(make_code(), product="Countersign", abuse="")
    assert "481516" not in letter.subject
    assert "481516" in letter.plain
    assert "481516" in letter.html


@pytest.mark.parametrize(
    ("action", "word"), [("", "sign"), ("sign", "sign"), ("review", "review"), ("acknowledge", "receipt")]
)
def test_request_says_what_is_asked_for(action: str, word: str):
    letter = write(NoticeKind.SIGNING_REQUEST, "en", FULL | {"action": action})
    assert word in letter.subject
