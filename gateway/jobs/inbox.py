"""Builds the inbox's processor from the services: events take effect on envelopes."""

from functools import partial

from gateway.envelopes.apply_event import apply_provider_event
from gateway.services import Services
from webhooks.inbound.process import Processor


def make_processor(services: Services) -> Processor:
    return Processor(
        services.hub,
        services.vault,
        services.adapters,
        partial(apply_provider_event, services),
        services.recorder,
        services.ids,
        services.clock,
        services.settings.inbox,
    )
