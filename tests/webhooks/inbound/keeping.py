"""Keeps messages without HTTP, as the door does after it has verified them."""

from adapters.kit.port import RawRequest
from gateway.tenants.find_sender import SenderDirectory
from tests.webhooks.inbound.house import House, Placed
from webhooks.inbound.keep import Kept, MessageKeeper
from webhooks.inbound.ports import Sender


async def sender_of(house: House, placed: Placed) -> Sender:
    sender = await SenderDirectory(house.services).find(placed.path.rpartition("/")[2])
    assert sender is not None
    return sender


async def keep(house: House, placed: Placed, *bodies: bytes) -> list[Kept]:
    services = house.services
    sender = await sender_of(house, placed)
    keeper = MessageKeeper(services.hub, services.vault, services.ids)
    kept = [await keeper.keep(sender, RawRequest(method="POST", headers=(), body=body), 0) for body in bodies]
    await keeper.aclose()
    return kept
