"""What the suite needs to know about a provider's sandbox, and nothing about its adapter: how to act as a
person there and how to break it. One small file per provider in tests/conformance/providers/.
"""

from typing import Any, Protocol

from adapters.kit.port import RawRequest


class Hand(Protocol):
    """The module-level names of a provider file, as the class `ProviderHand`."""

    # What a request's fault is called: "create", "get", "download" -> the sandbox's own operation.
    operations: dict[str, str]
    # A template at the sandbox, and the roles that its recipients fill, in order.
    template_ref: str
    template_roles: tuple[str, ...]

    # May also name `unfit`: tests that ask what such a provider cannot answer, each with the reason.

    def __init__(self, url: str) -> None: ...

    async def view(self, ref: str, email: str) -> None: ...

    async def sign(self, ref: str, email: str) -> None:
        """Opens the documents, if that has not been done, and signs."""

    async def decline(self, ref: str, email: str, reason: str) -> None: ...

    async def expire(self, ref: str) -> None: ...

    async def break_webhooks(self, url: str, ref: str) -> None:
        """Switches off at the provider what sends messages about this envelope to `url`; makes it first where the
        envelope itself carries none that can be switched off.
        """

    async def break_next(self, kind: str, operation: str, *, seconds: float = 0, count: int = 1) -> None:
        """`kind`: timeout_after_accept, reset_before, reset_after, http_429, http_500_html, token_expired,
        duplicate_webhook; `operation`: one of `operations`, or a webhook event of the provider.
        """

    async def heal(self) -> None:
        """Forgets every fault that has not happened."""

    def spoil_credentials(self, credentials: dict[str, Any]) -> dict[str, Any]:
        """Credentials that the provider refuses."""

    def forgeries(self, post: RawRequest) -> list[RawRequest]:
        """Posts that somebody without the provider's secret could make of this authentic one."""
