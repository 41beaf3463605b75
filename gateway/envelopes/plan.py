"""A dispatch that is decided: which envelope goes where, as which try."""

from collections.abc import Mapping

import msgspec

from adapters.kit.port import SendMode
from gateway.envelopes.model import StoredEnvelope
from gateway.envelopes.route import Route


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A dispatch that is pinned and about to be carried out. `at_hand`: documents by blob key whose bytes are
    in memory anyway.
    """

    envelope: StoredEnvelope
    route: Route
    epoch: int
    mode: SendMode
    at_hand: Mapping[str, bytes] = {}
