"""Whether the provider still sends us what happens: looks at the registered webhooks, and mends what it can.

A webhook that nobody answers for 72 hours is switched off and its notifications are lost; nobody is told. Only
registrations that lead to this connection's path are looked at; other people's at the same account are theirs.
Must never delete a registration.
Source: developer guide of 2026-04-29, webhooks: GET /webhooks, PUT /webhooks/{id}/state, verification of intent.
"""

from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from adapters.adobe_sign.answers import Page, Received
from adapters.adobe_sign.calls import put_matching, read
from adapters.adobe_sign.webhook import register_webhook
from adapters.adobe_sign.wire import WebhookState
from adapters.kit.exchange import Exchange
from adapters.kit.outcome import Interruption, Rejected
from adapters.kit.port import Connection, WebhookFinding

_ACTIVE, _RESOURCE = "ACTIVE", "RESOURCE"
_PAGE_SIZE = "100"
_MOST_PAGES = 50
_MOST_MISSING = 50  # a look: each is a call to mend, and the next look finds the others


class WebhookUrlSeen(Received, frozen=True):
    url: str = ""


class WebhookSeen(Received, frozen=True):
    id: str
    scope: str = ""
    status: str = ""
    resource_id: str = ""
    webhook_url_info: WebhookUrlSeen | None = None

    @property
    def url(self) -> str:
        return self.webhook_url_info.url if self.webhook_url_info else ""


class WebhookList(Received, frozen=True):
    user_webhook_list: tuple[WebhookSeen, ...] = ()
    page: Page | None = None


async def check_webhooks(
    exchange: Exchange, connection: Connection, open_refs: Sequence[str]
) -> tuple[WebhookFinding, ...]:
    """One list, however many agreements are open. What an ended agreement's webhook does is of no interest."""
    seen, is_whole = await _list(exchange, connection)
    is_open = set(open_refs)
    relevant = [each for each in seen if each.scope != _RESOURCE or each.resource_id in is_open]
    ours = [each for each in relevant if each.url == connection.webhook_url]
    findings = [_inactive(each) for each in ours if each.status != _ACTIVE]
    if any(each.scope != _RESOURCE and each.status == _ACTIVE for each in ours):
        return tuple(findings)  # one for the whole account hears everything
    covered = {each.resource_id for each in ours}
    elsewhere = {
        each.resource_id: each for each in relevant if _is_same_path(each.url, connection.webhook_url)
    }
    # What stands on a page that was not read is not missing.
    uncovered = [ref for ref in open_refs if ref not in covered] if is_whole else []
    findings += [_uncovered(ref, elsewhere.get(ref)) for ref in uncovered[:_MOST_MISSING]]
    return tuple(findings)


async def repair_webhooks(
    exchange: Exchange, connection: Connection, findings: Sequence[WebhookFinding]
) -> tuple[WebhookFinding, ...]:
    """Switched off: on again, which makes the provider ask our address whether it wants that. None: registered."""
    mended = []
    for finding in findings:
        if not finding.repairable:
            continue
        if finding.code == "inactive":
            is_mended = await _activate(exchange, connection, finding.ref)
        else:
            (ref,) = finding.provider_refs
            is_mended = await register_webhook(exchange, connection, ref, ref)
        if is_mended:
            mended.append(finding)
    return tuple(mended)


async def _list(exchange: Exchange, connection: Connection) -> tuple[list[WebhookSeen], bool]:
    """And whether that is all."""
    found: list[WebhookSeen] = []
    query = {"showInActiveWebhooks": "true", "pageSize": _PAGE_SIZE}
    for _ in range(_MOST_PAGES):
        page = await read(exchange, connection, "check_webhooks", "/webhooks", WebhookList, query)
        found.extend(page.user_webhook_list)
        if page.page is None or not page.page.next_cursor:
            return found, True
        query = query | {"cursor": page.page.next_cursor}
    return found, False


async def _activate(exchange: Exchange, connection: Connection, webhook_id: str) -> bool:
    path = f"/webhooks/{quote(webhook_id, safe='')}"
    try:
        await put_matching(
            exchange, connection, "repair_webhooks", path, f"{path}/state", WebhookState(state=_ACTIVE)
        )
    except Interruption as interruption:
        # Deliberate: one that is refused (our address did not answer, or it is gone) must not keep the others.
        if isinstance(interruption.outcome, Rejected):
            return False
        raise
    return True


def _inactive(each: WebhookSeen) -> WebhookFinding:
    about = "the account" if each.scope != _RESOURCE else "an open agreement"
    return WebhookFinding(
        code="inactive",
        says=f"The webhook of {about} is {each.status or 'without a state'}: nothing of it arrives. The provider "
        "switches a webhook off that was not answered for 72 hours. It is switched on again if the gateway's "
        "public address answers.",
        ref=each.id,
        provider_refs=(each.resource_id,) if each.resource_id else (),
        repairable=True,
    )


def _uncovered(ref: str, elsewhere: WebhookSeen | None) -> WebhookFinding:
    if elsewhere is None:
        says = "An open agreement has no webhook: nothing of it arrives. One is registered."
        return WebhookFinding(code="missing", says=says, provider_refs=(ref,), repairable=True)
    host = urlsplit(elsewhere.url).netloc
    says = f"An open agreement's webhook leads to {host}, where this gateway once was. One that leads here is added."
    return WebhookFinding(
        code="points_elsewhere", says=says, ref=elsewhere.id, provider_refs=(ref,), repairable=True
    )


def _is_same_path(url: str, own: str) -> bool:
    """The last segment of our path is a secret of this connection: who has it at another host was us."""
    return url != own and urlsplit(url).path == urlsplit(own).path
