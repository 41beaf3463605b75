"""The requests of every operation stay what was recorded, and are what the official models serialize."""

import json

import pytest

from adapters.docusign.adapter import DocuSign
from tests.adapters.docusign.oracle import as_the_client_serializes, unknown_keys
from tests.adapters.docusign.probe import FOLDER, Probe, probes, record, written

# The model of each body, by operation and method.
_MODELS = {
    ("create_envelope", "POST"): "EnvelopeDefinition",
    ("send_draft", "PUT"): "Envelope",
    ("void_envelope", "PUT"): "Envelope",
    ("discard_draft", "PUT"): "FoldersRequest",
    ("resend", "PUT"): "Recipients",
    ("correct_recipient", "PUT"): "Recipients",
    ("signing_url", "POST"): "RecipientViewRequest",
    ("repair_webhooks", "PUT"): "ConnectCustomConfiguration",
    ("republish", "PUT"): "ConnectFailureFilter",
    ("upload_document", "POST"): "ChunkedUploadRequest",
    ("upload_document", "PUT"): "ChunkedUploadRequest",
}
_PROBES = probes()


@pytest.mark.parametrize("probe", _PROBES, ids=[name for name, *_ in _PROBES])
async def test_operation_asks_exactly_what_was_recorded(probe: Probe) -> None:
    kept = (FOLDER / f"{probe[0]}.json").read_text(encoding="utf-8")
    assert written(await record(probe)) == kept


@pytest.mark.parametrize("probe", _PROBES, ids=[name for name, *_ in _PROBES])
async def test_recorded_body_is_what_the_official_models_serialize(probe: Probe) -> None:
    for request in json.loads((FOLDER / f"{probe[0]}.json").read_text(encoding="utf-8")):
        if not isinstance(request["body"], dict):
            continue
        model = _MODELS[request["operation"], request["method"]]
        assert unknown_keys(request["body"], model) == []
        assert as_the_client_serializes(request["body"], model) == request["body"]


def test_every_operation_of_the_port_has_a_recording_and_no_recording_is_left_over() -> None:
    names = {name for name, *_ in _PROBES}
    assert {path.stem for path in FOLDER.glob("*.json")} == names
    operations = {
        name
        for name in vars(DocuSign)
        if not name.startswith("_")
        and getattr(getattr(DocuSign, name), "__code__", None)
        and getattr(DocuSign, name).__code__.co_flags & 0x80
    }
    covered = {
        "create_draft": "create_envelope",
        "create_from_template": "create_envelope",
        "create_with_upload": "create_envelope",
        "resend_to_all": "resend",
        "resend_to_one": "resend",
        "download_combined": "download",
        "download_document": "download",
        "download_certificate": "download",
    }
    assert {covered.get(name, name) for name in names} == operations


def test_recordings_hold_no_secret() -> None:
    for path in FOLDER.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert "t0ken" not in text
        assert "PRIVATE KEY" not in text
        assert "eyJ" not in text
