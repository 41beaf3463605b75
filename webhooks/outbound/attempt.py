"""One attempt: compose, sign, send, decide. A failure of any kind becomes a decision, never an exception."""

import logging
from datetime import datetime

from config.clock import Clock
from webhooks.outbound.claims import SUCCESS_BODY_BYTES, Claim, Completion
from webhooks.outbound.client import Answer
from webhooks.outbound.compose import compose_body, message_id, refer_to_ledger
from webhooks.outbound.echoes import hide_echoes
from webhooks.outbound.mailbox import Route
from webhooks.outbound.schedule import Decision, Verdict, read_retry_after
from webhooks.outbound.sign import sign
from webhooks.outbound.sinks.port import OutgoingMessage
from webhooks.outbound.sinks.senders import Sinks

logger = logging.getLogger("countersign.deliverer")

_STATES = {
    Verdict.SUCCEEDED: "succeeded",
    Verdict.RETRY: "pending",
    Verdict.EXHAUSTED: "exhausted",
    Verdict.GONE: "held",
}


class Attempter:
    def __init__(self, sinks: Sinks, clock: Clock) -> None:
        self._sinks = sinks
        self._clock = clock

    async def attempt(self, claim: Claim, route: Route) -> tuple[Completion, Answer]:
        started_at = self._clock.now()
        try:
            answer = hide_echoes(await self._send(claim, route, started_at), route.hidden)
        except Exception:  # a fault of ours with one message must end as a logged attempt, not as a loop
            logger.exception("delivery %s could not be sent", claim.id)
            answer = Answer(duration_ms=0, error="not sent: a fault of the deliverer, see its log")
        decision = route.schedule.decide(
            attempt=claim.attempt,
            throttled=claim.throttled,
            status=answer.status,
            hint_s=read_retry_after(answer.retry_after, started_at),
            instruction=answer.instruction,
        )
        _log(claim, answer, decision)
        return self._complete(claim, answer, decision, started_at), answer

    async def _send(self, claim: Claim, route: Route, now: datetime) -> Answer:
        if route.url is None or route.keys is None:
            return Answer(duration_ms=0, error=f"not sent: {route.trouble}")
        if route.certificate_until is not None and now >= route.certificate_until:
            ended = route.certificate_until.isoformat()
            return Answer(
                duration_ms=0, error=f"not sent: the endpoint's client certificate ended at {ended}"
            )
        message = message_id(claim.event_id)
        body = compose_body(
            message=message,
            type_=claim.type,
            occurred_at=claim.occurred_at,
            tenant_id=claim.tenant_id,
            sequence=claim.sequence,
            data=claim.data,
            payload=claim.payload,
            ledger=refer_to_ledger(claim.chain_id, claim.ledger_seq, claim.ledger_hash),
            version=claim.api_version,
        )
        headers = sign(route.keys, route.profile, message=message, type_=claim.type, body=body, now=now)
        headers["Content-Type"] = "application/json"
        if route.headers:
            headers = {**route.headers, **headers}  # none of theirs has a name of ours
        outgoing = OutgoingMessage(message, claim.type, body, headers, claim.envelope_id)
        return await self._sinks[route.sink].send(route, outgoing)

    def _complete(self, claim: Claim, answer: Answer, decision: Decision, started_at: datetime) -> Completion:
        succeeded = decision.verdict is Verdict.SUCCEEDED
        body = answer.body[:SUCCESS_BODY_BYTES] if succeeded else answer.body
        error = answer.error if not decision.reason else f"{answer.error}; {decision.reason}".strip("; ")
        return Completion(
            claim=claim,
            state=_STATES[decision.verdict],
            attempt=decision.attempt,
            throttled=decision.throttled,
            delay_s=decision.delay_s,
            started_at=started_at,
            duration_ms=answer.duration_ms,
            outcome=decision.verdict.value,
            status=answer.status,
            error=error,
            response=body or None,
        )


def _log(claim: Claim, answer: Answer, decision: Decision) -> None:
    """One wide line per attempt; successes only for whoever asks: each of them is a row already."""
    level = logging.DEBUG if decision.verdict is Verdict.SUCCEEDED else logging.INFO
    if logger.isEnabledFor(level):
        logger.log(
            level,
            "delivery.attempted",
            extra={
                "delivery_id": str(claim.id),
                "event_id": str(claim.event_id),
                "endpoint_id": str(claim.endpoint_id),
                "attempt": decision.attempt,
                "status": answer.status,
                "duration_ms": answer.duration_ms,
                "outcome": decision.verdict.value,
                "retry_in_s": round(decision.delay_s, 1),
                "error": answer.error,
            },
        )
