"""What assistive technology is given of each page, compared with what was looked at and stored.

A page that changes on purpose: remove its file in snapshots/, run this once, and read what it wrote.
"""

from pathlib import Path

import pytest

from tests.browser.conftest import Look

SNAPSHOTS = Path(__file__).with_name("snapshots")
NAMES = (
    "landing",
    "authenticate-sms-sent",
    "authenticate-wrong",
    "authenticate-knowledge",
    "consent",
    "signing",
    "review",
    "review-missing",
    "decline",
    "delegate",
    "done-completed",
    "plain-not-found",
    "verify-good",
    "prepare",
)


@pytest.mark.parametrize("name", NAMES)
def test_accessible_tree_is_the_one_that_was_looked_at(look: Look, name: str) -> None:
    sight = look.at(name)
    if name in {"signing", "prepare"}:
        sight.until("document.querySelectorAll('#page-1-1 .textLayer span').length > 8")
        # How far the other pages are drawn is a matter of time.
        sight.page.evaluate(
            "document.querySelectorAll('.page ~ .page :is(.textLayer, .page__wait)').forEach(e => e.remove())"
        )
    if name == "authenticate-sms-sent":
        sight.page.evaluate("document.getElementById('resend').remove()")  # its label counts seconds
    tree = sight.page.locator("body").aria_snapshot() + "\n"
    stored = SNAPSHOTS / f"{name}.yaml"
    if not stored.exists():
        SNAPSHOTS.mkdir(exist_ok=True)
        stored.write_text(tree, encoding="utf-8")
        pytest.fail(f"{stored.name} was not there: read what has been written, and run again")
    assert tree == stored.read_text(encoding="utf-8")
