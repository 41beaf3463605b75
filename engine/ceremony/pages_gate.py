"""The pages before the document: landing, authentication, lock, consent."""

from collections.abc import Mapping
from datetime import datetime

from engine.ceremony.links import Link
from engine.ceremony.pages_shell import make_landing_shell, make_shell
from engine.ceremony.view import Brand, ConsentPage, LandingPage, LockedPage
from engine.ceremony.visit import Visit
from engine.engine import Engine
from engine.model import EngineEnvelope
from normalizer.recipient import Role


def landing_page(
    engine: Engine, link: Link, envelope: EngineEnvelope, brand: Brand, post_url: str
) -> LandingPage:
    recipient = envelope.recipient(link.recipient_id)
    return LandingPage(
        shell=make_landing_shell(engine, envelope, recipient, brand),
        post_url=post_url,
        expires_at=envelope.expires_at,
        is_over=link.is_view_only,
        host_name=recipient.host_name if recipient.role is Role.IN_PERSON else "",
    )


def locked_page(visit: Visit, until: datetime | None, *, sender_told: bool) -> LockedPage:
    return LockedPage(shell=make_shell(visit, "authenticate"), until=until, sender_told=sender_told)


def consent_page(visit: Visit, *, error: str = "", values: Mapping[str, str] | None = None) -> ConsentPage:
    return ConsentPage(
        shell=make_shell(visit, "consent", error=error, values=values),
        disclosure_id=visit.disclosure.id,
        version=visit.disclosure.version,
        paragraphs=visit.disclosure.paragraphs,
        sample_url=f"{visit.base}/consent/sample.pdf",
        needs_demonstration=visit.engine.settings.signing.demonstrate_access,
    )
