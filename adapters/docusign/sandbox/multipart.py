"""Reads a multipart create: one JSON part named envelopeDefinition, then one binary part per document.

The provider uses `Content-Disposition: file; filename=...; documentid=...` for documents, which form
parsers do not know; hence this small reader of our own.
"""

import re

from .refusals import Refusal

_PARAMETER = re.compile(r'([\w-]+)="([^"]*)"|([\w-]+)=([^;\s]+)')


def read_parts(content_type: str, body: bytes) -> tuple[bytes, dict[str, bytes]]:
    """The definition's JSON and the document bytes by documentId."""
    boundary = _parameters(content_type).get("boundary", "")
    if not boundary:
        raise Refusal("create-multipart-malformed", "No boundary.")
    definition: bytes | None = None
    files: dict[str, bytes] = {}
    for raw in (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1"))[1:]:
        if raw.startswith(b"--"):
            break
        head, separator, content = raw.partition(b"\r\n\r\n")
        if not separator:
            raise Refusal("create-multipart-malformed", "A part has no header end.")
        headers = _headers(head)
        disposition = headers.get("content-disposition", "")
        parameters = _parameters(disposition)
        document_id = parameters.get("documentid")
        if document_id:
            files[document_id] = content
        elif headers.get("content-type", "").startswith("application/json") or parameters.get("name"):
            definition = content
        else:
            raise Refusal(
                "create-multipart-malformed", "A part is neither JSON nor a document with documentid."
            )
    if definition is None:
        raise Refusal("create-multipart-malformed", "No JSON part.")
    return definition, files


def _headers(head: bytes) -> dict[str, str]:
    lines = [
        line.partition(":") for line in head.decode("utf-8", errors="replace").split("\r\n") if ":" in line
    ]
    return {name.strip().lower(): value.strip() for name, _, value in lines}


def _parameters(header: str) -> dict[str, str]:
    return {
        (quoted or plain).lower(): quoted_value or plain_value
        for quoted, quoted_value, plain, plain_value in _PARAMETER.findall(header)
    }
