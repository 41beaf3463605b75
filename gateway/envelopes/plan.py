"""A dispatch that is decided: which envelope goes where, as which try."""

from collections.abc import Mapping

import msgspec

from adapters.kit.port import SendMode
from gateway.envelopes.model import StoredEnvelope
from gateway.envelopes.route import Route


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A dispatch that is pinned and about to be carried out. `at_hand`: documents by blob key whose bytes are
    in memory anyway. `version`: the envelope's, when the pin has been written.
    """

    envelope: StoredEnvelope
    route: Route
    epoch: int
    version: int
    mode: SendMode
    at_hand: Mapping[str, bytes] = {}
