"""Who and what the samples are about."""

import datetime as dt

from engine.ceremony import view

NOW = dt.datetime(2026, 11, 22, 14, 5, tzinfo=dt.UTC)
BASE = "/sign/s/sample"
LONG_NAME = (
    "Wolfeschlegelsteinhausenbergerdorff-Maximiliana Freifrau von Hohenlohe-Waldenburg-Schillingsfürst"
)
ARABIC_NAME = "فاطمة الزهراء بنت عبد الرحمن"
ACME = view.Brand(
    organisation="Nordwind Versicherung AG",
    logo_url="/sign/brand/sample",
    colour="#0b6e4f",
    ink="#ffffff",
    support_email="support@nordwind.example",
)
PLAIN = view.Brand(organisation="Harbour & Finch LLP")
SUN = view.Brand(organisation="Sonnenhof", colour="#ffd23f", ink="#1b2330")


def document(number: int = 1, name: str = "Lease agreement.pdf", pages: int = 3) -> view.DocumentView:
    return view.DocumentView(
        number=number,
        name=name,
        url=f"{BASE}/documents/{number}.pdf",
        download_url=f"{BASE}/documents/{number}.pdf?download=1",
        text_url=f"{BASE}/documents/{number}/text",
        pages=tuple(view.PageView(number=page + 1, width=595, height=842) for page in range(pages)),
    )
