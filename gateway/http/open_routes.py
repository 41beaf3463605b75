"""How routes are declared that need no API key: pages for people, who prove in another way who they are."""

from typing import Any, Final

from litestar import HttpMethod

OPEN: Final[dict[str, Any]] = {"opt": {"open": True}, "include_in_schema": False}
LOOK: Final[dict[str, Any]] = {"http_method": [HttpMethod.GET, HttpMethod.HEAD], "status_code": 200, **OPEN}
