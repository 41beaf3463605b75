"""Declining, handing over, and the page at the end, whatever the end was."""

from collections.abc import Mapping

from engine.ceremony.downloads import CERTIFICATE, COMBINED, Copy, copies_of
from engine.ceremony.pages_shell import make_shell
from engine.ceremony.view import DeclinePage, DelegatePage, DonePage, DownloadView
from engine.ceremony.visit import State, Visit
from engine.model import EngineStatus
from normalizer.recipient import Role

_TITLES = {
    "en": {CERTIFICATE: "Certificate of completion", COMBINED: "All documents in one file"},
    "de": {CERTIFICATE: "Abschlusszertifikat", COMBINED: "Alle Dokumente in einer Datei"},
}


def decline_page(
    visit: Visit, reason: str = "", *, error: str = "", values: Mapping[str, str] | None = None
) -> DeclinePage:
    return DeclinePage(shell=make_shell(visit, "document", error=error, values=values), reason=reason[:500])


def delegate_page(
    visit: Visit,
    name: str = "",
    email: str = "",
    reason: str = "",
    *,
    error: str = "",
    values: Mapping[str, str] | None = None,
) -> DelegatePage:
    return DelegatePage(
        shell=make_shell(visit, "document", error=error, values=values),
        name=name[:200],
        email=email[:200],
        reason=reason[:500],
    )


def done_page(visit: Visit, *, error: str = "", values: Mapping[str, str] | None = None) -> DonePage:
    """Copies only for whoever has proved who they are and has not left."""
    state = _state(visit)
    base_url = visit.engine.settings.countersign.public_base_url.rstrip("/")
    return DonePage(
        shell=make_shell(visit, "", error=error, values=values),
        state=state.value,
        downloads=download_views(visit) if visit.method is None and state is not State.WAITING else (),
        reason=_reason(visit, state),
        verify_url=f"{base_url}/verify/{visit.envelope.verification_code}"
        if state is State.COMPLETED and visit.method is None
        else "",
        return_url=visit.session.return_url,
    )


def download_views(visit: Visit) -> tuple[DownloadView, ...]:
    return tuple(
        DownloadView(
            title=title_of(copy, visit.language),
            url=f"{visit.base}/download/{copy.part}",
            size_bytes=copy.size_bytes,
            sha256=copy.sha256,
        )
        for copy in copies_of(visit.envelope, visit.recipient)
    )


def title_of(copy: Copy, language: str) -> str:
    return _TITLES[language].get(copy.part, copy.name)


def _state(visit: Visit) -> State:
    """To a reader of a copy nothing is left to do from the beginning: theirs is the envelope's end, or none yet."""
    if visit.end is None and visit.recipient.role is Role.CARBON_COPY:
        return State.FINISHED
    return visit.state


def _reason(visit: Visit, state: State) -> str:
    """What the sender said when withdrawing. Whoever else refused says it to the sender, not to the others."""
    if visit.method is None and state is State.VOIDED and visit.envelope.status is EngineStatus.VOIDED:
        return visit.envelope.reason
    return ""
