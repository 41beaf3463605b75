"""Signers in the DocuSign sandbox: the embedded page, the list page, and what they leave on paper."""

import io
import re
import zipfile
from urllib.parse import urlsplit

import httpx
import pikepdf
import pypdfium2
import pytest
from sandbox_docusign_kit import Sandbox, blank_pdf, document, signer, text_pdf

VIEW = {
    "returnUrl": "https://app.example.com/back?deal=7",
    "authenticationMethod": "None",
    "clientUserId": "u-1",
    "email": "signer1@example.com",
    "userName": "Signer 1",
}


def embedded(sandbox: Sandbox, **more: object) -> tuple[str, str]:
    """An envelope for one embedded signer, and the signing address."""
    envelope_id = sandbox.create(recipients={"signers": [signer(clientUserId="u-1", **more)]})
    answer = sandbox.api("POST", f"/envelopes/{envelope_id}/views/recipient", VIEW)
    assert answer.status_code == 201, answer.text
    url = answer.json()["url"]
    assert url.startswith(sandbox.url)
    return envelope_id, url


def press(sandbox: Sandbox, url: str, action: str, **fields: str) -> httpx.Response:
    return sandbox.http.post(
        "/Signing/Session", data={"t": url.partition("t=")[2], "action": action, **fields}
    )


def words(pdf: bytes) -> str:
    shown = pypdfium2.PdfDocument(pdf)
    try:
        return "\n".join(page.get_textpage().get_text_bounded() for page in shown)
    finally:
        shown.close()


def test_embedded_signer_signs_on_the_page_and_goes_back_with_the_event(sandbox: Sandbox) -> None:
    envelope_id, url = embedded(sandbox)
    page = sandbox.http.get(url)
    assert page.status_code == 200
    assert "Signer 1" in page.text
    assert sandbox.get(envelope_id)["status"] == "delivered"
    back = press(sandbox, url, "sign")
    assert (back.status_code, back.headers["location"]) == (
        303,
        "https://app.example.com/back?deal=7&event=signing_complete",
    )
    assert sandbox.get(envelope_id)["status"] == "completed"


@pytest.mark.parametrize(
    ("action", "event", "status"),
    [
        ("decline", "decline", "declined"),
        ("cancel", "cancel", "delivered"),
        ("finish_later", "cancel", "delivered"),
        ("fail_authentication", "id_check_failed", "delivered"),
    ],
)
def test_embedded_signer_leaves_otherwise_and_the_event_says_how(
    sandbox: Sandbox, action: str, event: str, status: str
) -> None:
    envelope_id, url = embedded(sandbox)
    sandbox.http.get(url)
    back = press(sandbox, url, action, reason="No, thanks")
    assert back.headers["location"].endswith(f"event={event}")
    shown = sandbox.get(envelope_id)
    assert shown["status"] == status
    if action == "decline":
        assert shown["recipients"]["signers"][0]["declinedReason"] == "No, thanks"


def test_signing_link_opens_once_and_a_second_view_ends_the_first(sandbox: Sandbox) -> None:
    envelope_id, first = embedded(sandbox)
    second = sandbox.api("POST", f"/envelopes/{envelope_id}/views/recipient", VIEW).json()["url"]
    assert sandbox.http.get(first).headers["location"].endswith("event=ttl_expired")
    assert sandbox.http.get(second).status_code == 200
    assert sandbox.http.get(second).headers["location"].endswith("event=ttl_expired")


def test_signing_link_is_dead_after_five_minutes(sandbox: Sandbox) -> None:
    _, url = embedded(sandbox)
    sandbox.control("POST", "/switches", advance_seconds=301)
    assert sandbox.http.get(url).headers["location"].endswith("event=ttl_expired")


def test_access_code_is_asked_first_and_three_wrong_ones_fail_the_authentication(sandbox: Sandbox) -> None:
    envelope_id, url = embedded(sandbox, accessCode="k3y")
    page = sandbox.http.get(url)
    assert "Access code" in page.text
    assert sandbox.get(envelope_id)["status"] == "sent"
    for _ in range(2):
        assert "not right" in press(sandbox, url, "authenticate", access_code="no").text
    back = press(sandbox, url, "authenticate", access_code="no")
    assert back.headers["location"].endswith("event=access_code_failed")
    shown = sandbox.get(envelope_id)["recipients"]["signers"][0]
    assert shown["recipientAuthenticationStatus"]["accessCodeResult"]["status"] == "Failed"
    assert shown["status"] == "sent"


def test_right_access_code_opens_the_documents(sandbox: Sandbox) -> None:
    envelope_id, url = embedded(sandbox, accessCode="k3y")
    sandbox.http.get(url)
    assert "Sign and finish" in press(sandbox, url, "authenticate", access_code="k3y").text
    assert sandbox.get(envelope_id)["status"] == "delivered"


def test_list_page_escapes_names_and_its_buttons_act(sandbox: Sandbox) -> None:
    people = {"signers": [signer(name="<b>Eve</b>")]}
    envelope_id = sandbox.create(recipients=people, emailSubject="<script>alert(1)</script>")
    page = sandbox.http.get("/sandbox/")
    assert "<script>" not in page.text
    assert "&lt;b&gt;Eve&lt;/b&gt;" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    form = {"recipient_id": "1", "action": "sign"}
    back = sandbox.http.post(f"/sandbox/envelopes/{envelope_id}/page", data=form)
    assert (back.status_code, urlsplit(back.headers["location"]).path) == (303, "/sandbox")
    assert sandbox.get(envelope_id)["status"] == "completed"
    assert sandbox.http.get(f"/sandbox/envelopes/{envelope_id}/combined.pdf").content.startswith(b"%PDF")


def _ink_box(pdf: bytes, needle: str) -> tuple[float, float, float, float]:
    """Left, bottom, right, top of a text in unrotated page space."""
    shown = pypdfium2.PdfDocument(pdf)
    try:
        text = shown[0].get_textpage()
        index, count = text.search(needle).get_next()
        boxes = [text.get_charbox(place) for place in range(index, index + count)]
    finally:
        shown.close()
    return (
        min(b[0] for b in boxes),
        min(b[1] for b in boxes),
        max(b[2] for b in boxes),
        max(b[3] for b in boxes),
    )


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_signature_stands_at_its_tab_measured_from_the_displayed_top_left(
    sandbox: Sandbox, rotate: int
) -> None:
    people = {"signers": [signer(name="Ada Signer")]}
    pdf = blank_pdf(size=(612, 1008), rotate=rotate)
    tab = {"documentId": "1", "pageNumber": "1", "xPosition": "100", "yPosition": "200"}
    people["signers"][0]["tabs"] = {"signHereTabs": [tab]}
    envelope_id = sandbox.create(documents=[document(content=pdf)], recipients=people)
    sandbox.act(envelope_id, "1", "sign")
    stamped = sandbox.api("GET", f"/envelopes/{envelope_id}/documents/1").content
    assert "SANDBOX" in words(stamped)
    left, bottom, right, top = _ink_box(stamped, "Signed by Ada Signer")
    corner = {
        0: (left, 1008 - top),
        90: (bottom, left),
        180: (612 - right, bottom),
        270: (1008 - top, 612 - right),
    }
    x, y = corner[rotate]
    assert 100 <= x <= 110
    assert 200 <= y <= 215


def test_draft_document_keeps_its_bytes_and_two_downloads_are_equal(sandbox: Sandbox) -> None:
    pdf = text_pdf("Hello")
    draft = sandbox.create(status="created", documents=[document(content=pdf)])
    assert sandbox.api("GET", f"/envelopes/{draft}/documents/1").content == pdf
    sent = sandbox.create(documents=[document(content=pdf)])
    sandbox.act(sent, "1", "sign")
    first, second = (sandbox.api("GET", f"/envelopes/{sent}/documents/combined").content for _ in range(2))
    assert first == second


def test_combined_certificate_and_archive_hold_what_they_should(sandbox: Sandbox) -> None:
    papers = [document("1"), document("2", b"not a pdf", name="Zusatz.docx", fileExtension="docx")]
    envelope_id = sandbox.create(documents=papers)
    sandbox.act(envelope_id, "1", "sign")
    base = f"/envelopes/{envelope_id}/documents"
    pages = {}
    for query in ("combined", "combined?certificate=true", "certificate", "2"):
        answer = sandbox.api("GET", f"{base}/{query}")
        assert answer.headers["content-type"] == "application/pdf"
        pages[query] = len(pikepdf.open(io.BytesIO(answer.content)).pages)
    assert pages == {"combined": 2, "combined?certificate=true": 3, "certificate": 1, "2": 1}
    assert "Zusatz.docx" in words(sandbox.api("GET", f"{base}/2").content)
    certificate = words(sandbox.api("GET", f"{base}/certificate").content)
    assert "Certificate Of Completion" in certificate
    assert envelope_id in certificate
    archive = sandbox.api("GET", f"{base}/archive")
    names = zipfile.ZipFile(io.BytesIO(archive.content)).namelist()
    assert names == ["1_doc1.pdf", "2_Zusatz.docx.pdf", "Summary.pdf"]
    shown = sandbox.api("GET", f"{base}/1").headers["content-disposition"]
    assert re.fullmatch(r'file; filename="doc1.pdf"; documentid="1"', shown)


def test_anchored_tab_lands_on_its_text(sandbox: Sandbox) -> None:
    tab = {"anchorString": "/sig1/", "anchorUnits": "pixels", "anchorXOffset": "10", "anchorYOffset": "0"}
    people = {"signers": [signer(tabs={"signHereTabs": [tab]})]}
    envelope_id = sandbox.create(
        documents=[document(content=text_pdf("Sign here: /sig1/"))], recipients=people
    )
    placed = sandbox.api("GET", f"/envelopes/{envelope_id}/recipients/1/tabs").json()["signHereTabs"]
    assert len(placed) == 1
    assert (placed[0]["documentId"], placed[0]["pageNumber"]) == ("1", "1")
    assert 160 < int(placed[0]["xPosition"]) < 180
    assert 350 < int(placed[0]["yPosition"]) < 370
