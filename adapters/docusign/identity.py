"""Which identity checks an account offers: their ids by name, remembered for a while.

Ids differ from account to account, so they are read and never known. Only an envelope that needs one asks.
Must never be shared between accounts: the memory is kept by account and server.
Source: eSignature REST API v2.1, GET /identity_verification.
"""

from datetime import datetime, timedelta

from adapters.docusign.answers import IdentityWorkflows, is_true, text
from adapters.docusign.recipients import workflow_of
from adapters.docusign.requests import decode, read
from adapters.kit.exchange import Exchange
from normalizer.envelope import Envelope
from normalizer.errors import UnsupportedFeature

_KEEP = timedelta(minutes=15)  # an administrator who switches a check on sees it this soon


class WorkflowMemory:
    """Workflow ids by account; a plain dictionary, because losing it costs one call."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[datetime, dict[str, str]]] = {}

    async def workflows_for(
        self, exchange: Exchange, account_key: str, envelope: Envelope, now: datetime
    ) -> dict[str, str]:
        """Ids by name of what the envelope needs. Raises UnsupportedFeature for what the account lacks."""
        needed = {workflow_of(envelope, recipient) for recipient in envelope.recipients} - {""}
        if not needed:
            return {}
        found = self._remembered(account_key, now)
        if not needed <= found.keys():
            found = await _read_workflows(exchange)
            self._known[account_key] = (now + _KEEP, found)
        missing = sorted(needed - found.keys())
        if missing:
            raise UnsupportedFeature("docusign", missing[0], f"This account does not offer {missing[0]}.")
        return {name: found[name] for name in needed}

    def _remembered(self, account_key: str, now: datetime) -> dict[str, str]:
        until, known = self._known.get(account_key, (now, {}))
        return known if now < until else {}


async def _read_workflows(exchange: Exchange) -> dict[str, str]:
    answer = decode(await exchange(read("identity_workflows", "/identity_verification")), IdentityWorkflows)
    return {
        text(workflow.default_name): workflow.workflow_id
        for workflow in answer.identity_verification or ()
        if not is_true(workflow.is_disabled)
    }
