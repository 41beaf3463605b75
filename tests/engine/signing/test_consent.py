"""Consent to electronic records: what is shown, proved, kept, refused and withdrawn."""

import io

import pypdfium2
import pytest

from engine.ceremony.consent import load_consents, load_words
from engine.ceremony.demonstration import make_sample, word_of
from engine.ceremony.disclosure import compose_disclosure
from tests.engine.signing.house import AGENT, House
from tests.gateway.bodies import envelope

ADA = "ada@example.com"


@pytest.fixture
async def sent(house: House) -> House:
    await house.send(envelope())
    return house


@pytest.mark.parametrize("language", ["en", "de"])
def test_disclosure_says_what_the_law_asks_for(language: str) -> None:
    disclosure = compose_disclosure(language, "Acme", "legal@acme.example")
    text = " ".join(f"{heading} {words}" for heading, words in disclosure.paragraphs)
    asked = {
        "en": (
            "paper",
            "withdraw",
            "costs nothing",
            "this transaction",
            "changes, tell Acme",
            "web browser",
            "PDF",
        ),
        "de": (
            "Papier",
            "widerrufen",
            "kostet nichts",
            "dieses Vorgangs",
            "Ändert sie sich",
            "Browser",
            "PDF",
        ),
    }
    assert [one for one in (*asked[language], "legal@acme.example") if one not in text] == []
    assert "{" not in text


def test_disclosure_with_other_words_has_another_hash() -> None:
    first = compose_disclosure("en", "Acme", "")
    assert first.sha256 == compose_disclosure("en", "Acme", "").sha256
    assert (
        len(
            {
                first.sha256,
                compose_disclosure("en", "Acme Ltd", "").sha256,
                compose_disclosure("de", "Acme", "").sha256,
            }
        )
        == 3
    )


def test_sample_is_a_pdf_in_which_the_word_can_be_read() -> None:
    with pypdfium2.PdfDocument(io.BytesIO(make_sample("KX7MPT", "de"))) as sample:
        assert "KX7MPT" in sample[0].get_textpage().get_text_range()


async def test_word_of_the_sample_does_not_stand_on_the_page_and_is_each_sessions_own(sent: House) -> None:
    first, second = await sent.browser(ADA), await sent.browser(ADA)
    word = word_of(sent.engine, first.handle)
    assert word not in first.page
    assert word != word_of(sent.engine, second.handle)
    sample = await first.look("consent/sample.pdf")
    with pypdfium2.PdfDocument(io.BytesIO(sample.content)) as pdf:
        assert word in pdf[0].get_textpage().get_text_range()


async def test_consent_is_kept_with_all_that_proves_it(sent: House) -> None:
    browser = await sent.browser(ADA)
    word = word_of(sent.engine, browser.handle)
    answer = await browser.post("consent", {"agree": "yes", "demonstration": f" {word.lower()} "})
    assert answer.status_code == 303
    async with sent.engine.database.transaction(sent.tenant.id) as tx:
        (kept,) = await load_consents(tx, sent.tenant.id, sent.engine_id)
        words = await load_words(tx, sent.tenant.id, kept.sha256)
    assert (kept.outcome, kept.demonstration, kept.language, kept.method) == (
        "accepted",
        "passed",
        "en",
        "web_form",
    )
    assert kept.user_agent == AGENT
    assert kept.shown_at < kept.decided_at
    assert words == compose_disclosure("en", "House", (await sent.envelope()).sender_email).paragraphs
    (entry,) = await sent.ledger("consent_given")
    assert (entry["details"]["sha256"], entry["details"]["version"]) == (kept.sha256, kept.version)
    assert word not in str(entry)
    assert (await sent.recipient(ADA)).status == "delivered"


async def test_consent_without_its_parts_is_asked_for_again(sent: House) -> None:
    browser = await sent.browser(ADA)
    for form, said in (
        ({"agree": "yes", "demonstration": "WRONG1"}, "That is not the word in the sample"),
        ({"agree": "yes"}, "That is not the word in the sample"),
        ({"demonstration": "WRONG1"}, "Please tick the box"),
    ):
        answer = await browser.post("consent", form)
        assert answer.status_code == 422
        assert said in answer.text
    assert await sent.ledger("consent_given") == []
    assert (await sent.recipient(ADA)).status == "sent"


async def test_consent_counts_for_the_next_session_too(sent: House) -> None:
    await sent.reader(ADA)
    again = await sent.browser(ADA)
    assert (await again.look("consent")).headers["location"].endswith("/document")
    assert len(await sent.ledger("consent_given")) == 1


async def test_refusal_is_kept_and_may_be_thought_over(sent: House) -> None:
    browser = await sent.browser(ADA)
    answer = await browser.post("consent/refuse")
    assert answer.headers["location"].endswith("/done")
    assert "You have not agreed to electronic signing" in (await browser.get("done")).text
    (entry,) = await sent.ledger("consent_withdrawn")
    assert entry["details"]["before_consent"] is True
    assert (await sent.envelope()).status == "sent"
    told = await sent.world.services.hub.fetch("SELECT 1 FROM engine_notices WHERE kind = 'consent_refused'")
    assert len(told) == int(bool((await sent.envelope()).sender_email))
    await browser.consent()
    assert (await browser.look("document")).status_code == 200


async def test_withdrawal_shuts_the_document_and_keeps_what_was_signed(sent: House) -> None:
    browser = await sent.reader(ADA)
    own = browser.field("signature")["id"]
    assert (await browser.sign(own, await browser.adopt())).status_code == 200
    assert (await browser.post("consent/withdraw")).status_code == 303
    assert (await browser.look("document")).headers["location"].endswith("/consent")
    assert (await browser.sign(own, "sig_00000000000000000000000000", version=2)).status_code == 403
    assert (
        await browser.post("finish", {"intent": "yes", "idempotency_key": "a-key-of-eight"})
    ).status_code == 403
    assert len(await sent.ledger("consent_withdrawn")) == 1
    assert (await browser.post("consent/withdraw")).status_code == 303
    assert len(await sent.ledger("consent_withdrawn")) == 1
    assert (await sent.envelope()).fields[0].signature_id is not None


async def test_other_words_are_asked_for_anew(sent: House) -> None:
    await sent.reader(ADA)
    await sent.world.services.hub.execute("UPDATE tenants SET name = 'Renamed' WHERE id = $1", sent.tenant.id)
    again = await sent.browser(ADA)
    assert (await again.look("document")).headers["location"].endswith("/consent")


async def test_installation_may_do_without_the_demonstration(sent: House) -> None:
    from dataclasses import replace

    import msgspec

    from config.settings_signing import SigningSettings
    from tests.gateway.world import World

    services = sent.world.services
    settings = msgspec.structs.replace(
        services.settings,
        signing=SigningSettings(demonstrate_access=False, visits_burst=1000, visits_per_minute=1000),
    )
    services = replace(services, settings=settings, engine=replace(services.engine, settings=settings))
    async with World(services) as calm:
        sent.world = calm
        browser = await sent.browser(ADA)
        assert 'name="demonstration"' not in browser.page
        assert (await browser.post("consent", {"agree": "yes"})).status_code == 303
    (entry,) = await sent.ledger("consent_given")
    assert entry["details"]["demonstration"] == "not_asked"
