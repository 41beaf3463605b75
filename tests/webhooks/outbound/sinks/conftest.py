"""Fixtures of the sinks' tests: one real server per kind, and one RabbitMQ for the whole run of a worker."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager

import pytest
import pytest_asyncio

from tests.webhooks.outbound.sinks.rabbit import Rabbit
from tests.webhooks.outbound.sinks.stands import Stand, amqp_stand, http_stand, redis_stand
from webhooks.outbound.sinks.target import SinkKind


@pytest.fixture(scope="session")
def rabbit() -> Iterator[Rabbit]:
    if not Rabbit.is_installed():
        pytest.skip("not run: there is no RabbitMQ on this machine (Debian: rabbitmq-server)")
    made = Rabbit()
    try:
        made.start()
        yield made
    finally:
        made.stop()


def _open(kind: SinkKind, request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Stand]:
    match kind:
        case SinkKind.HTTP:
            return http_stand()
        case SinkKind.REDIS_STREAM:
            return redis_stand(request.getfixturevalue("redis_url"))
        case SinkKind.AMQP:
            return amqp_stand(request.getfixturevalue("rabbit"))


@pytest_asyncio.fixture(params=list(SinkKind), ids=str)
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[Stand]:
    async with _open(request.param, request) as made:
        yield made


@pytest_asyncio.fixture(params=[SinkKind.REDIS_STREAM, SinkKind.AMQP], ids=str)
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[Stand]:
    """A stand whose connections are an endpoint's own; over HTTP they are the host's."""
    async with _open(request.param, request) as made:
        yield made
