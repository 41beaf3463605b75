"""Uploads, stamps, combined documents, form data."""

import csv
import io

import pytest
from adobe_sandbox_kit import Api, make_pdf, read_pages, signer
from adobe_valid_requests import field

from adapters.adobe_sign.sandbox import pdf
from adapters.adobe_sign.sandbox.world import Stamp

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def author(api: Api, one: str, *fields: dict) -> None:
    path = f"/agreements/{one}"
    placed = api.put(f"{path}/formFields", {"fields": list(fields)}, f"{path}/formFields")
    assert placed.status_code == 200, placed.text
    assert api.put(f"{path}/state", {"state": "IN_PROCESS"}, path).status_code == 204


def combined(api: Api, one: str, query: str = "") -> list[str]:
    answer = api.call("GET", f"/agreements/{one}/combinedDocument{query}")
    assert answer.headers["content-type"] == "application/pdf"
    return read_pages(answer.content)


def test_signing_stamps_the_field_and_top_counts_from_the_bottom_of_the_page(api: Api) -> None:
    one = api.create(state="AUTHORING")
    at = {"left": 60, "top": 280, "width": 150, "height": 40}
    author(api, one, field(api.sets(one)[0]["id"], at=at))
    api.act(one, "sign")
    content = api.call("GET", f"/agreements/{one}/combinedDocument").content
    (spot,) = pdf.find_text(content, "SANDBOX")
    assert 60 <= spot.left < spot.right <= 210
    assert 240 <= spot.bottom < spot.top <= 280


def test_signing_without_fields_stamps_the_footer_of_every_document_for_every_signer(api: Api) -> None:
    infos = [{"transientDocumentId": api.upload(make_pdf("First", 2))}, {"transientDocumentId": api.upload()}]
    one = api.signed(
        fileInfos=infos, participantSetsInfo=[signer("ada@example.com"), signer("bob@example.com", 2)]
    )
    pages = combined(api, one)
    assert [page.count("SANDBOX signed by") for page in pages] == [0, 2, 2]
    assert "bob@example.com" in pages[2]


def test_combined_document_joins_all_files_and_the_audit_report_on_request(api: Api) -> None:
    infos = [{"transientDocumentId": api.upload(make_pdf("First", 2))}, {"transientDocumentId": api.upload()}]
    one = api.create(fileInfos=infos)
    plain = combined(api, one)
    with_report = combined(api, one, "?attachAuditReport=true")
    assert [page.strip() for page in plain] == ["First 1", "First 2", "Sign here: 1"]
    assert with_report[:3] == plain
    assert "Audit report" in with_report[3]


def test_completed_agreement_gives_the_same_bytes_every_time(api: Api) -> None:
    one = api.signed()
    path = f"/agreements/{one}/combinedDocument"
    assert api.call("GET", path).content == api.call("GET", path).content


def test_single_document_carries_its_own_stamps(api: Api) -> None:
    infos = [{"transientDocumentId": api.upload(make_pdf("First", 2))}, {"transientDocumentId": api.upload()}]
    one = api.signed(fileInfos=infos)
    listed = api.get(f"/agreements/{one}/documents")["documents"]
    second = api.call("GET", f"/agreements/{one}/documents/{listed[1]['id']}").content
    assert [each["numPages"] for each in listed] == [2, 1]
    (page,) = read_pages(second)
    assert "Sign here:" in page
    assert "SANDBOX signed by" in page


def test_word_file_becomes_a_page_that_names_it(api: Api) -> None:
    one = api.create(fileInfos=[{"transientDocumentId": api.upload(b"PK\x03\x04", "offer.docx", DOCX)}])
    (page,) = combined(api, one)
    assert "offer.docx" in page


def test_audit_trail_is_a_pdf_that_lists_the_events(api: Api) -> None:
    one = api.signed()
    answer = api.call("GET", f"/agreements/{one}/auditTrail")
    (page,) = read_pages(answer.content)
    assert answer.headers["content-type"] == "application/pdf"
    assert all(word in page for word in ("CREATED", "ACTION_REQUESTED", "ESIGNED", "WORKFLOW_COMPLETED", one))


def test_form_data_holds_what_the_signer_entered_and_sensible_values_for_the_rest(api: Api) -> None:
    one = api.create(state="AUTHORING")
    assignee = api.sets(one)[0]["id"]
    text = {"inputType": "TEXT_FIELD", "contentType": "DATA"}
    author(
        api,
        one,
        field(assignee, name="city", **text),
        field(assignee, name="mail", **text | {"contentType": "SIGNER_EMAIL"}),
    )
    api.act(one, "sign", values={"city": "Zürich"})
    (row,) = csv.DictReader(io.StringIO(api.call("GET", f"/agreements/{one}/formData").text))
    assert (row["email"], row["role"], row["city"], row["mail"]) == (
        "ada@example.com",
        "SIGNER",
        "Zürich",
        "ada@example.com",
    )
    assert "Zürich" in combined(api, one)[0]


def test_anchor_and_text_tag_become_fields_where_the_text_stands(api: Api) -> None:
    content = make_pdf("{{Sig_es_:signer1:signature}} Sign here:")
    generator = {
        "formFieldNamePrefix": "anchored",
        "participantSetName": "one",
        "anchorTextInfo": {
            "anchorText": "Sign here:",
            "anchoredFormFieldLocation": {"offsetX": 5, "offsetY": -2, "width": 100, "height": 20},
        },
        "formFieldDescription": {"inputType": "SIGNATURE", "contentType": "SIGNATURE_BLOCK"},
    }
    one = api.create(
        fileInfos=[{"transientDocumentId": api.upload(content)}],
        participantSetsInfo=[signer("ada@example.com", name="one")],
        formFieldGenerators=[generator],
    )
    fields = {each["name"]: each for each in api.get(f"/agreements/{one}/formFields")["fields"]}
    (anchor,) = pdf.find_text(content, "Sign here:")
    placed = fields["anchored"]["locations"][0]
    assert set(fields) == {"anchored", "Sig"}
    assert placed["left"] == pytest.approx(anchor.left + 5)
    assert placed["top"] == pytest.approx(anchor.bottom - 2 + 20)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_stamp_stands_where_the_reader_sees_it_whatever_the_rotation(turn: int) -> None:
    import pikepdf

    source = pikepdf.open(io.BytesIO(make_pdf("x")))
    source.pages[0].obj.Rotate = turn
    out = io.BytesIO()
    source.save(out)
    stamp = Stamp(page=1, left=100, bottom=100, width=150, height=40, lines=["MARK"])
    stamped = pdf.stamp_pdf(out.getvalue(), [stamp], 1)
    width, height = pdf.page_sizes(stamped)[0]
    (spot,) = pdf.find_text(stamped, "MARK")
    x, y = {
        0: (spot.left, spot.bottom),
        90: (spot.bottom, height - spot.right),
        180: (width - spot.right, height - spot.top),
        270: (width - spot.top, spot.left),
    }[turn]
    assert 100 <= x <= 250
    assert 100 <= y <= 140


def test_upload_larger_than_the_frameworks_default_is_accepted_below_the_limit(api: Api) -> None:
    api.options(upload_limit_bytes=20 * 1024 * 1024)
    content = make_pdf() + b"%" + b"x" * (12 * 1024 * 1024)
    one = api.create(fileInfos=[{"transientDocumentId": api.upload(content)}])
    assert api.status(one) == "OUT_FOR_SIGNATURE"
