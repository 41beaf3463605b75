"""How a tenant's webhook endpoint fares, over HTTP."""

import msgspec
from litestar import get
from litestar.params import FromPath

from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.webhooks import READ
from normalizer.ids import Kind, print_id, read_id
from webhooks.outbound.health import Health, read_health


class HealthView(Health, frozen=True, kw_only=True):
    """`breaker` open: nothing is sent until `breaker_until`, and no attempt is burnt; half_open: one delivery
    is under way to see whether the endpoint answers again. The rates are of attempts. `filter_errors`: how many events
    passed because the endpoint's filter could not be asked; `filter_error` says why the last one did.
    """

    endpoint_id: str


@get("/webhooks/{endpoint_id:str}/health", **READ)
async def health(services: TheServices, caller: TheCaller, endpoint_id: FromPath[str]) -> HealthView:
    """How the endpoint fares: breaker, success rate, response times, and what waits for it."""
    own = read_id(Kind.ENDPOINT, endpoint_id)
    found = await read_health(services.database, caller.tenant_id, own)
    given = msgspec.structs.asdict(found) | {"endpoint_id": print_id(Kind.ENDPOINT, own)}
    return HealthView(**given)
