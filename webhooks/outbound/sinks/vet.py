"""What a sink's address may be: vetted at registration and again whenever a deliverer reads the endpoint.

The same guard as for HTTP stands behind it: a DNS name, TLS, the service's own ports. Credentials never stand
in the URL, and no query does: client libraries read options out of it, among them "do not verify" and paths of
local files. Plain `redis://` and `amqp://` pass on the development allow-list only.
"""

import re

from yarl import URL

from normalizer.errors import Finding, ValidationFailed
from webhooks.outbound.guard import HTTPS, Guard, UrlRule
from webhooks.outbound.sinks.target import SinkKind

_RULES = {
    SinkKind.HTTP: HTTPS,
    SinkKind.REDIS_STREAM: UrlRule("rediss", "redis", 6380, frozenset({6379, 6380}), "rediss://host:6380/0"),
    SinkKind.AMQP: UrlRule("amqps", "amqp", 5671, frozenset({5671}), "amqps://host:5671/vhost"),
}
_DATABASE = re.compile(r"/?(?:[0-9]{1,3})?\Z")
_LONGEST_CREDENTIAL = 255


def vet_sink_url(guard: Guard, sink: SinkKind, text: str) -> URL:
    """The URL as it will be connected to. Raises ValidationFailed. A caller at registration also asks
    `guard.vet_name(url)`, which looks the host up.
    """
    url = guard.vet_url(text, _RULES[sink])
    if sink is SinkKind.HTTP:
        return url
    if "?" in text:
        raise _refuse("/url", "the URL of a broker has no query", "Remove what follows '?'.")
    if sink is SinkKind.REDIS_STREAM and not _DATABASE.match(url.raw_path):
        raise _refuse("/url", "the path is not the number of a database", "Use rediss://host:6380/0.")
    return url


def read_credentials(text: str) -> tuple[str, str]:
    """User and password out of `user:password`; the user may be empty. Raises ValidationFailed."""
    user, colon, password = text.partition(":")
    if not colon or not password:
        raise _refuse("/sink_secret", "this is not user:password", "Write user and password with a colon.")
    if max(len(user), len(password)) > _LONGEST_CREDENTIAL or not text.isprintable():
        raise _refuse(
            "/sink_secret",
            f"user and password are printable and have at most {_LONGEST_CREDENTIAL} characters",
            "Use other credentials.",
        )
    return user, password


def _refuse(pointer: str, problem: str, remedy: str) -> ValidationFailed:
    return ValidationFailed(
        f"This sink is not possible: {problem}.",
        (Finding(pointer, problem, remedy),),
        code="url_refused" if pointer == "/url" else None,
    )
