"""Every kind of mail as its reader sees it: on a phone and in a window, light and dark."""

import base64

import pytest

from engine.notify.letterhead import Letterhead
from engine.notify.notice import NoticeKind
from engine.notify.texts import write_letter
from tests.browser.conftest import Look
from tests.browser.stage import LOGO
from tests.engine.notify.desk import LINK, make_request

VALUES = {
    "subject": "Lease agreement, Harbour Street 12",
    "sender_name": "Jonas Lindqvist",
    "sender_email": "jonas.lindqvist@nordwind.example",
    "organisation": "Nordwind Versicherung AG",
    "message": "Dear Ms Okafor,\nplease sign the lease by Friday. Call me when anything is unclear.",
    "expires_at": "2026-12-14T12:00:00Z",
    "by": "Wolfeschlegelsteinhausenbergerdorff-Maximiliana Freifrau von Hohenlohe-Waldenburg-Schillingsfürst",
    "certificate": "CN=Nordwind seal 2026",
    "days": "30",
}
WITH_REASON = {NoticeKind.DECLINED, NoticeKind.VOIDED, NoticeKind.CONSENT_REFUSED}
# Between them they have every piece that a mail can have.
WHOLE = {NoticeKind.SIGNING_REQUEST, NoticeKind.CODE, NoticeKind.DECLINED}
LETTERHEAD = Letterhead(colour="#0b6e4f", ink="#ffffff", logo=LOGO, logo_width=360, logo_height=72)


def mail(kind: NoticeKind, language: str = "en") -> str:
    values = VALUES | {"link": LINK}
    if kind in WITH_REASON:
        values = VALUES | {"reason": "The rent in section 4 is not the one we agreed on."}
    if kind is NoticeKind.CODE:
        values = {"code": "481516", "minutes": "10", "organisation": VALUES["organisation"]}
    notice = make_request(kind=kind, language=language, name="فاطمة الزهراء بنت عبد الرحمن", values=values)
    letter = write_letter(
        notice, product="Countersign", abuse="abuse@sign.example", letterhead=LETTERHEAD, logo="logo"
    )
    return letter.html.replace("cid:logo", "data:image/png;base64," + base64.b64encode(LOGO).decode())


@pytest.mark.parametrize("kind", NoticeKind)
def test_mail_flows_and_is_read_on_light_and_on_dark_paper(look: Look, kind: NoticeKind) -> None:
    sight = look.at("plain-not-found", "phone")
    sight.page.goto("about:blank")
    name = f"mail-{kind.value.replace('_', '-')}"
    for width, scheme, language, shot in (
        (390, "light", "en", f"{name}-phone"),
        (390, "dark", "de", f"{name}-dark-phone"),
        (700, "light", "en", f"{name}-desktop"),
    ):
        sight.page.emulate_media(color_scheme=scheme)
        sight.page.set_viewport_size({"width": width, "height": 600})
        sight.page.set_content(mail(kind, language))
        assert sight.page.evaluate("document.documentElement.scrollWidth") <= width
        if kind in WHOLE:
            assert [one for one in sight.barriers() if "color-contrast" in one] == []
        sight.shoot(shot, full=True)
    sight.page.emulate_media(color_scheme="light")
