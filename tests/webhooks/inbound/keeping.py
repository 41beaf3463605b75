"""Keeps messages without HTTP, as the door does after it has verified them."""

from adapters.kit.port import RawRequest
from gateway.tenants.find_sender import SenderDirectory
from tests.webhooks.inbound.house import House, Placed
from webhooks.inbound.keep import Kept, MessageKeeper
from webhooks.inbound.message import Verification
from webhooks.inbound.ports import Sender


async def sender_of(house: House, placed: Placed) -> Sender:
    sender = await SenderDirectory(house.services).find(placed.path.rpartition("/")[2])
    assert sender is not None
    return sender


def verified(house: House, sender: Sender) -> Verification:
    """As the door finds an authentic message of this connection."""
    account = getattr(sender.connection.credentials, "account_id", "")
    return Verification(
        scheme="hmac_sha256", reason="signature matches", client_address="203.0.113.9", account=account
    )


async def keep(house: House, placed: Placed, *bodies: bytes) -> list[Kept]:
    services = house.services
    sender = await sender_of(house, placed)
    keeper = MessageKeeper(services.hub, services.vault, services.ids)
    kept = [
        await keeper.keep(sender, RawRequest(method="POST", headers=(), body=body), verified(house, sender))
        for body in bodies
    ]
    await keeper.aclose()
    return kept
