"""Whether documents were examined and may be sent: pure, on the rows as they are.

Must never let a document pass that was refused, or of which nothing is known yet.
"""

from collections.abc import Sequence

import msgspec

from engine.documents.examine import REFUSED
from gateway.envelopes.model import StoredDocument
from normalizer.errors import Conflict, Finding, ValidationFailed
from normalizer.ids import Kind, print_id

PROCESSING = "processing"


class DocumentProcessing(Conflict):
    code = "document_processing"
    remedy = "Read the document until its status is ready, then send the envelope."


def check_examined(documents: Sequence[StoredDocument]) -> None:
    """Raises ValidationFailed for refused documents, DocumentProcessing while one is not examined yet."""
    refused = [
        msgspec.structs.replace(finding, where=f"/documents/{number}: {finding.where}")
        for number, document in enumerate(documents)
        if document.status == REFUSED
        for finding in document.findings
    ]
    if refused:
        raise ValidationFailed("A document cannot be signed.", tuple(refused), code="document_refused")
    waiting = [print_id(Kind.DOCUMENT, one.id) for one in documents if one.status == PROCESSING]
    if waiting:
        raise DocumentProcessing(f"These documents are still being examined: {', '.join(waiting)}.")


def refusal(findings: tuple[Finding, ...]) -> ValidationFailed:
    """The error of a refused document: what was found, and what to do about it."""
    error = ValidationFailed(
        " ".join(one.problem for one in findings) or "The document cannot be signed.",
        findings,
        code="document_refused",
    )
    error.remedy = " ".join(one.remedy for one in findings) or error.remedy
    return error
