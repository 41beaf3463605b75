"""The states of a delivery, as the table has them."""

from enum import StrEnum


class DeliveryState(StrEnum):
    PENDING = "pending"
    LEASED = "leased"
    SUCCEEDED = "succeeded"
    EXHAUSTED = "exhausted"
    HELD = "held"
    CANCELLED = "cancelled"


UNDELIVERED = (DeliveryState.PENDING, DeliveryState.LEASED, DeliveryState.EXHAUSTED, DeliveryState.HELD)
