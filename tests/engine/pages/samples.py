"""One struct for every page and state, for the tests of the templates and for the browser."""

import datetime as dt
from collections.abc import Mapping

import msgspec

from engine.ceremony import view
from engine.ceremony.render import AnyPage
from normalizer.field import DEFAULT_SIZE, FieldType
from tests.engine.pages.samples_beyond import BEYOND
from tests.engine.pages.samples_shared import ACME, ARABIC_NAME, BASE, LONG_NAME, NOW, PLAIN, SUN, document


def shell(**changes: object) -> view.Shell:
    values: dict[str, object] = {
        "base": BASE,
        "csrf": "sample-csrf",
        "language": "en",
        "brand": ACME,
        "subject": "Lease agreement, Harbour Street 12",
        "sender_name": "Jonas Lindqvist",
        "sender_email": "jonas.lindqvist@nordwind.example",
        "message": "Dear Ms Okafor,\nplease sign the lease by Friday. Call me when anything is unclear.",
        "recipient_name": "Adaeze Okafor",
        "action": view.Action.SIGN,
        "embedded": False,
        "development": False,
        "ends_at": dt.datetime.now(dt.UTC) + dt.timedelta(minutes=30),
        "last_at": dt.datetime.now(dt.UTC) + dt.timedelta(hours=8),
        "steps": ("authenticate", "consent", "document", "finish"),
    }
    return view.Shell(**(values | changes))  # type: ignore[arg-type]


def field(number: int, kind: str, page: int, x: float, y: float, **changes: object) -> view.FieldView:
    width, height = DEFAULT_SIZE[FieldType(kind)]
    values: dict[str, object] = {
        "id": f"f{number}",
        "number": number,
        "document": 1,
        "page": page,
        "x": x / 595,
        "y": y / 842,
        "width": width / 595,
        "height": height / 842,
        "type": kind,
        "label": "",
        "name": f"{kind.replace('_', ' ').capitalize()}, required, page {page} of 3",
        "required": True,
        "read_only": False,
        "value": "",
        "options": (),
        "group": "",
        "version": 1,
        "is_done": False,
    }
    return view.FieldView(**(values | changes))  # type: ignore[arg-type]


FIELDS = (
    field(1, "text", 1, 110, 268, label="Place of birth"),
    field(2, "dropdown", 1, 110, 318, label="Kind of lease", options=("Flat", "Office", "Garage")),
    field(3, "checkbox", 1, 72, 372, label="I keep a pet", required=False),
    field(4, "radio", 1, 72, 412, label="Monthly", group="payment"),
    field(5, "radio", 1, 72, 436, label="Quarterly", group="payment"),
    field(6, "initials", 2, 480, 760),
    field(7, "signature", 3, 110, 500),
    field(
        8,
        "date_signed",
        3,
        340,
        522,
        read_only=True,
        value="2026-11-22",
        is_done=True,
        name="Date of signing, page 3 of 3",
    ),
    field(
        9,
        "attachment",
        3,
        110,
        600,
        label="Copy of your ID",
        required=False,
        name="Copy of your ID, optional, page 3 of 3",
    ),
)
FONTS = (
    view.FontView(id="caveat", title="Caveat", css_family="Caveat"),
    view.FontView(id="dancing-script", title="Dancing Script", css_family="Dancing Script"),
    view.FontView(id="great-vibes", title="Great Vibes", css_family="Great Vibes"),
)
SIGNATURE = view.AdoptedSignature(
    id="s1",
    purpose="signature",
    type="typed",
    picture_url=f"{BASE}/signatures/s1.png",
    text="Adaeze Okafor",
)
DOWNLOADS = (
    view.DownloadView(
        title="Lease agreement, signed", url=f"{BASE}/download/1", size_bytes=182_400, sha256="9f" * 32
    ),
    view.DownloadView(
        title="Certificate of completion",
        url=f"{BASE}/download/certificate",
        size_bytes=1_240_000,
        sha256="1c" * 32,
    ),
)
DISCLOSURE = (
    (
        "What you agree to",
        (
            "You agree that we and the sender provide the documents of this transaction to you electronically, and that"
            " you sign them electronically. Your agreement covers this transaction alone."
        ),
    ),
    (
        "Paper",
        (
            "You may ask the sender for a paper copy at any time, during the transaction and afterwards. The sender tells"
            " you beforehand whether it costs anything."
        ),
    ),
    (
        "Withdrawing",
        (
            "You may withdraw your agreement until you have finished, on this page or by a message to the sender. What"
            " was signed before stays valid."
        ),
    ),
    (
        "What you need",
        (
            "A current browser, a program that shows PDF files, and an e-mail address that you read. To keep the"
            " documents you need room to store or a printer."
        ),
    ),
)


def signing(**changes: object) -> view.SigningPage:
    values: dict[str, object] = {
        "shell": shell(step="document"),
        "documents": (document(),),
        "fields": FIELDS,
        "signature": None,
        "initials": None,
        "needs_signature": True,
        "needs_initials": True,
        "fonts": FONTS,
        "can_delegate": True,
        "can_decline": True,
        "required_left": 6,
    }
    return view.SigningPage(**(values | changes))  # type: ignore[arg-type]


def review(**changes: object) -> view.ReviewPage:
    filled = tuple(
        msgspec.structs.replace(one, value=value, is_done=True)
        for one, value in zip(FIELDS, ("Enugu", "Flat", "true", "true", "", "", ""), strict=False)
    )
    values: dict[str, object] = {
        "shell": shell(step="finish"),
        "documents": (document(), document(2, "House rules.pdf", 1)),
        "fields": filled,
        "signature": SIGNATURE,
        "initials": None,
        "missing": (),
        "idempotency_key": "sample-key",
        "meanings": ("Approval", "Authorship"),
    }
    return view.ReviewPage(**(values | changes))  # type: ignore[arg-type]


def authenticate(method: str, **changes: object) -> view.AuthenticatePage:
    values: dict[str, object] = {
        "shell": changes.pop("shell", shell(step="authenticate")),
        "method": method,
        "number": 1,
        "of": 2,
    }
    return view.AuthenticatePage(**(values | changes))  # type: ignore[arg-type]


def done(state: str, **changes: object) -> view.DonePage:
    return view.DonePage(shell=changes.pop("shell", shell(step="finish")), state=state, **changes)  # type: ignore[arg-type]


PAGES: Mapping[str, AnyPage] = {
    "landing": view.LandingPage(
        shell=shell(base="", csrf="", steps=()),
        post_url="/sign/sample",
        expires_at=NOW + dt.timedelta(days=14),
        is_over=False,
    ),
    "landing-over": view.LandingPage(
        shell=shell(base="", csrf="", steps=(), brand=PLAIN),
        post_url="/sign/sample",
        expires_at=None,
        is_over=True,
    ),
    "landing-host": view.LandingPage(
        shell=shell(base="", csrf="", steps=(), recipient_name=ARABIC_NAME, language="de", message=""),
        post_url="/sign/sample",
        expires_at=NOW,
        is_over=False,
        host_name="Jonas Lindqvist",
    ),
    "landing-long": view.LandingPage(
        shell=shell(
            base="",
            csrf="",
            steps=(),
            recipient_name=LONG_NAME,
            sender_name=LONG_NAME,
            brand=SUN,
            development=True,
            language="de",
            action=view.Action.APPROVE,
            subject="Rahmenvertragsänderungsvereinbarung_" * 4,
        ),
        post_url="/sign/sample",
        expires_at=NOW,
        is_over=False,
    ),
    "authenticate-email": authenticate("email_otp", target="a•••@example.com"),
    "authenticate-sms-sent": authenticate(
        "sms", target="••• ••67", sent=True, resend_after_s=30, tries_left=5
    ),
    "authenticate-wrong": authenticate(
        "sms",
        target="••• ••67",
        sent=True,
        tries_left=1,
        shell=shell(step="authenticate", error="error.code_wrong"),
    ),
    "authenticate-access-code": authenticate("access_code", tries_left=3),
    "authenticate-knowledge": authenticate(
        "knowledge", questions=("In which town were you born?", "What is your customer number?")
    ),
    "authenticate-identity": authenticate("id_verification", shell=shell(step="authenticate", language="de")),
    "locked": view.LockedPage(
        shell=shell(step="authenticate"), until=NOW + dt.timedelta(minutes=30), sender_told=True
    ),
    "locked-sender": view.LockedPage(shell=shell(step="authenticate"), until=None, sender_told=True),
    "consent": view.ConsentPage(
        shell=shell(step="consent"),
        disclosure_id="esign",
        version="2026-11",
        paragraphs=DISCLOSURE,
        sample_url=f"{BASE}/consent/sample.pdf",
        needs_demonstration=True,
    ),
    "signing": signing(),
    "signing-german": signing(
        shell=shell(step="document", language="de", development=True, recipient_name=ARABIC_NAME)
    ),
    "signing-empty": signing(
        shell=shell(step="document", action=view.Action.APPROVE),
        fields=(),
        required_left=0,
        needs_signature=False,
        needs_initials=False,
    ),
    "review": review(),
    "review-missing": review(missing=FIELDS[5:7]),
    "review-approve": review(
        shell=shell(step="finish", action=view.Action.APPROVE, language="de"),
        fields=(),
        signature=None,
        meanings=(),
    ),
    "decline": view.DeclinePage(shell=shell(step="document")),
    "decline-short": view.DeclinePage(shell=shell(step="document", error="error.reason_length"), reason="No"),
    "delegate": view.DelegatePage(shell=shell(step="document")),
    "done-finished": done("finished", downloads=DOWNLOADS[:1]),
    "done-completed": done(
        "completed", downloads=DOWNLOADS, verify_url="https://sign.example/verify/K7QF-2M9X-TT4D"
    ),
    "done-sealing": done("sealing"),
    "done-declined": done("declined", reason="The rent in section 4 is not the one we agreed on."),
    "done-delegated": done("delegated"),
    "done-voided": done("voided", reason="Replaced by a newer version."),
    "done-expired": done("expired"),
    "done-waiting": done("waiting", shell=shell(step="document", language="de")),
    "done-consent-withdrawn": done("consent_withdrawn", return_url="https://dms.example/back"),
    **{
        f"plain-{kind.replace('_', '-')}": view.PlainPage(kind=kind, language=language, development=False)
        for kind, language in (
            ("not_found", "en"),
            ("session_over", "de"),
            ("too_many", "en"),
            ("unavailable", "en"),
        )
    },
    **BEYOND,
}
