"""The page of one method of authentication, and the page of a recipient who is locked.

Shows where a code went as far as a reader may know, and never whether an answer was nearly right.
"""

from collections.abc import Mapping

from engine.ceremony.codes import CODE_METHODS, masked_target
from engine.ceremony.knowledge import read_questions
from engine.ceremony.lockout import tries_left
from engine.ceremony.pages_gate import locked_page
from engine.ceremony.pages_shell import make_shell
from engine.ceremony.view import AuthenticatePage, LockedPage
from engine.ceremony.visit import Visit
from normalizer.recipient import AuthenticationMethod

# A mail takes a moment: the page offers another code after this time. What may be sent is limited elsewhere.
_PAUSE_S = 30
_ANSWERED = frozenset({AuthenticationMethod.ACCESS_CODE, AuthenticationMethod.KNOWLEDGE})
_LOOK = """
SELECT (SELECT max(f.locked_until) FROM ceremony_failures f WHERE f.tenant_id = $1 AND f.engine_id = $2
            AND f.recipient_id = $3 AND f.locked_until > $5) AS locked_until,
       c.sent_at, c.tries
  FROM (SELECT 1) AS one
  LEFT JOIN LATERAL (SELECT sent_at, tries FROM ceremony_codes WHERE tenant_id = $1 AND engine_id = $2
       AND recipient_id = $3 AND method = $4 AND used_at IS NULL AND expires_at > $5
       ORDER BY sent_at DESC, id DESC LIMIT 1) AS c ON true
"""


async def authenticate_page(
    visit: Visit, *, error: str = "", values: Mapping[str, str] | None = None
) -> AuthenticatePage | LockedPage:
    """For the method that is next; the visit has one."""
    engine, recipient, envelope = visit.engine, visit.recipient, visit.envelope
    method = visit.method
    if method is None:
        raise AssertionError("every method is passed")
    now = engine.clock.now()
    questions: tuple[str, ...] = ()
    left: int | None = None
    async with engine.database.transaction(envelope.tenant_id) as tx:
        row = await tx.driver.fetchrow(
            _LOOK, envelope.tenant_id, envelope.id, recipient.id, method.value, now
        )
        if row is None:
            raise AssertionError("the statement returns one row")
        if method in _ANSWERED and row["locked_until"] is None:
            left = await tries_left(engine, tx, envelope, recipient, method)
        if method is AuthenticationMethod.KNOWLEDGE:
            questions = await read_questions(engine, tx, envelope.tenant_id, recipient)
    if row["locked_until"] is not None:
        return locked_page(visit, row["locked_until"], sender_told=True)
    sent = method in CODE_METHODS and row["sent_at"] is not None
    if sent:
        left = max(0, engine.settings.access.code_tries - row["tries"])
    asked = [one for one in recipient.authentication if one is not AuthenticationMethod.EMAIL]
    return AuthenticatePage(
        shell=make_shell(visit, "authenticate", error=error, values=values),
        method=method.value,
        number=asked.index(method) + 1 if method in asked else 1,
        of=max(1, len(asked)),
        target=masked_target(recipient, method) if method in CODE_METHODS else "",
        sent=sent and bool(left),
        resend_after_s=max(0, round(_PAUSE_S - (now - row["sent_at"]).total_seconds())) if sent else 0,
        # Told once something was tried: a first look needs no warning.
        tries_left=left if error else None,
        questions=questions,
    )
