"""What the ceremony's pages are given: one frozen struct per page, made by the server, read by the templates.

A page holds nothing that its reader may not know: no token, no other recipient's address, no code. `base` is
the session's path ("/sign/s/<handle>"), to which every form and script appends its own last segment.
"""

from datetime import datetime
from enum import StrEnum

import msgspec


class Action(StrEnum):
    """What the recipient is asked for, by role."""

    SIGN = "sign"  # signer, in_person
    APPROVE = "approve"
    REVIEW = "review"
    ACKNOWLEDGE = "acknowledge"  # certified_delivery: open and confirm receipt
    READ = "read"  # carbon_copy: nothing to do


class Brand(msgspec.Struct, frozen=True, kw_only=True):
    """`colour` and `ink` are #rrggbb (accent and the text on it), checked for contrast when they were set;
    `logo_url` empty: the organisation's name stands in its place.
    """

    organisation: str
    logo_url: str = ""
    colour: str = "#1f4fd1"
    ink: str = "#ffffff"
    support_email: str = ""


class Shell(msgspec.Struct, frozen=True, kw_only=True):
    """What every page of a session has. `csrf` goes into each form as `csrf` and into scripts' requests as
    `X-CSRF-Token`. `ends_at`: when the session ends if nothing is done; `last_at`: at the latest.
    """

    base: str
    csrf: str
    language: str  # "en" or "de"
    brand: Brand
    subject: str
    sender_name: str
    sender_email: str
    message: str
    recipient_name: str
    action: Action
    embedded: bool
    development: bool  # shown on every page: sandbox keys and authorities
    ends_at: datetime | None = None
    last_at: datetime | None = None
    error: str = ""  # a key of the catalogue ("error.code_wrong"), with its values in error_values
    error_values: dict[str, str] = {}
    steps: tuple[
        str, ...
    ] = ()  # of "authenticate", "consent", "document", "finish": the ones this session has
    step: str = ""
    # Embedded only: who may frame the page, exactly; its scripts post "ready", "finished", "declined" to these alone.
    origins: tuple[str, ...] = ()


class LandingPage(msgspec.Struct, frozen=True, kw_only=True):
    """GET /sign/{token}: changes nothing. The form posts to `post_url` (the same path)."""

    shell: Shell
    post_url: str
    expires_at: datetime | None
    is_over: bool  # already finished: the button says "view", not "start"
    host_name: str = ""  # in person: who hands over the device


class AuthenticatePage(msgspec.Struct, frozen=True, kw_only=True):
    """One method at a time, in order. `method` is an AuthenticationMethod; `target` is masked ("••• ••67",
    "a•••@example.com"). `sent`: a code is on its way. Forms: POST {base}/authenticate/send (email_otp, sms),
    POST {base}/authenticate with `answer` (codes, access code), `answer_0`.. (knowledge), nothing
    (id_verification: the server answers 303 to the provider's page; on return it checks).
    """

    shell: Shell
    method: str
    number: int  # 1-based place among the methods
    of: int
    target: str = ""
    sent: bool = False
    resend_after_s: int = 0
    tries_left: int | None = None
    questions: tuple[str, ...] = ()
    development_code_hint: str = ""


class LockedPage(msgspec.Struct, frozen=True, kw_only=True):
    shell: Shell
    until: datetime | None
    sender_told: bool


class ConsentPage(msgspec.Struct, frozen=True, kw_only=True):
    """`paragraphs` of the disclosure, (heading, text). Forms: POST {base}/consent with `agree`=yes and
    `demonstration` (the word shown in the sample PDF at `sample_url`); POST {base}/consent/refuse.
    """

    shell: Shell
    disclosure_id: str
    version: str
    paragraphs: tuple[tuple[str, str], ...]
    sample_url: str
    needs_demonstration: bool


class FieldView(msgspec.Struct, frozen=True, kw_only=True):
    """Fractions of the displayed page, top-left origin. `name` is the accessible name in the page's language
    ("Signature, required, page 3 of 5"). `value` for text-like fields; checkbox: "true" or "". `version` is
    what a save must send as If-Match. `number` is the place in reading order over all documents, 1-based.
    """

    id: str
    number: int
    document: int  # 1-based
    page: int
    x: float
    y: float
    width: float
    height: float
    type: str
    label: str
    name: str
    required: bool
    read_only: bool
    value: str
    options: tuple[str, ...]
    group: str
    version: int
    is_done: bool
    picture_url: str = ""  # of the adopted signature or initials that fills it
    attachment_name: str = ""


class PageView(msgspec.Struct, frozen=True, kw_only=True):
    """Points of the displayed page."""

    number: int
    width: float
    height: float


class DocumentView(msgspec.Struct, frozen=True, kw_only=True):
    """`url` the PDF (inline), `download_url` the same as attachment, `text_url` its text as a plain page."""

    number: int
    name: str
    url: str
    download_url: str
    text_url: str
    pages: tuple[PageView, ...]


class AdoptedSignature(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    purpose: str  # "signature" or "initials"
    type: str  # "draw", "typed", "upload"
    picture_url: str
    text: str


class FontView(msgspec.Struct, frozen=True, kw_only=True):
    """A hand for typed signatures; the page shows the same face from `css_family`."""

    id: str
    title: str
    css_family: str


class SigningPage(msgspec.Struct, frozen=True, kw_only=True):
    """The document with its fields. JSON to scripts in a <script type="application/json"> element.

    Scripts: PUT {base}/fields/{id} {"value"} with If-Match; POST {base}/signatures {"purpose","type","text","font"}
    or {"purpose","type","image": base64 PNG/JPEG}; PUT {base}/fields/{id}/signature {"signature_id"};
    POST {base}/fields/{id}/attachment (body: the file); POST {base}/extend. Every answer to a field is FieldView JSON.
    Without scripts: one form, POST {base}/save, inputs named `field_<id>`, `signature_text`, `signature_font`,
    `initials_text`, buttons `then`=review|stay.
    """

    shell: Shell
    documents: tuple[DocumentView, ...]
    fields: tuple[FieldView, ...]
    signature: AdoptedSignature | None
    initials: AdoptedSignature | None
    needs_signature: bool
    needs_initials: bool
    fonts: tuple[FontView, ...]
    can_delegate: bool
    can_decline: bool
    required_left: int


class ReviewPage(msgspec.Struct, frozen=True, kw_only=True):
    """The last look. Form: POST {base}/finish with `intent`=yes, `idempotency_key`, `meaning` (one of `meanings`,
    when there are any), `geolocation` ("lat,lon", only when the reader agreed to share it), `time_zone`.
    """

    shell: Shell
    documents: tuple[DocumentView, ...]
    fields: tuple[FieldView, ...]
    signature: AdoptedSignature | None
    initials: AdoptedSignature | None
    missing: tuple[FieldView, ...]
    idempotency_key: str
    meanings: tuple[str, ...]


class DeclinePage(msgspec.Struct, frozen=True, kw_only=True):
    """Form: POST {base}/decline with `reason` (5 to 500 characters)."""

    shell: Shell
    reason: str = ""


class DelegatePage(msgspec.Struct, frozen=True, kw_only=True):
    """Form: POST {base}/delegate with `name`, `email`, `reason`."""

    shell: Shell
    name: str = ""
    email: str = ""
    reason: str = ""


class DownloadView(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    url: str
    size_bytes: int
    sha256: str


class DonePage(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is one of "finished" (others still act), "sealing", "completed", "declined", "delegated",
    "voided", "expired", "waiting" (not this recipient's turn yet), "consent_withdrawn".
    """

    shell: Shell
    state: str
    downloads: tuple[DownloadView, ...] = ()
    reason: str = ""
    verify_url: str = ""
    return_url: str = ""


class PlainPage(msgspec.Struct, frozen=True, kw_only=True):
    """Pages without a session: `kind` "not_found" (bad, expired and revoked links look the same),
    "session_over", "too_many", "unavailable".
    """

    kind: str
    language: str
    development: bool


Page = (
    LandingPage
    | AuthenticatePage
    | LockedPage
    | ConsentPage
    | SigningPage
    | ReviewPage
    | DeclinePage
    | DelegatePage
    | DonePage
    | PlainPage
)
