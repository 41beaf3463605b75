"""Bodies of requests with defaults: a test names only what it is about."""

import base64
from typing import Any

from tests.gateway.papers import pdf


def field(**changes: Any) -> dict[str, Any]:
    return {"type": "signature", "page": 1, "x": 100, "y": 600} | changes


def signer(name: str = "Ada Lovelace", **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"name": name, "email": f"{name.split(maxsplit=1)[0].lower()}@example.com"}
    return given | {"fields": [field()]} | changes


def inline(content: bytes | None = None, name: str = "contract.pdf") -> dict[str, Any]:
    return {"name": name, "content_base64": base64.b64encode(content or pdf()).decode()}


def envelope(**changes: Any) -> dict[str, Any]:
    return {"name": "Contract", "documents": [inline()], "recipients": [signer()]} | changes
