"""Where texts stand on a stored document's pages: the places of fields that are anchored to a text."""

from collections.abc import Sequence
from uuid import UUID

from engine.documents.examine import limits_of, spooled
from engine.documents.findings import describe
from engine.documents.messages import AnchorPlace, Operation, Refusal, Task
from engine.engine import Engine
from normalizer.errors import Finding, ValidationFailed

__all__ = ["AnchorPlace", "find_anchors", "missing_anchor"]


async def find_anchors(
    engine: Engine, tenant_id: UUID, blob_key: str, texts: Sequence[str]
) -> dict[str, tuple[AnchorPlace, ...]]:
    """Every occurrence of each text, in reading order, in points from the displayed page's top left; () for a
    text that is not there. Raises ValidationFailed for a document that cannot be read, ExaminerLost, and the
    blob store's errors.
    """
    wanted = tuple(dict.fromkeys(texts))
    if not wanted:
        return {}
    async with spooled(engine, tenant_id, blob_key) as path:
        answer = await engine.examiners.run(
            Task(
                operation=Operation.FIND_ANCHORS,
                source=path,
                texts=wanted,
                limits=limits_of(engine.settings.document),
            )
        )
    if answer.refusals:
        raise ValidationFailed(
            "The document's text cannot be read.",
            tuple(describe(refusal) for refusal in answer.refusals),
            code="document_refused",
        )
    return answer.places


def missing_anchor(text: str, document_name: str) -> Finding:
    """The finding for a text that `find_anchors` did not find."""
    found = describe(Refusal("anchor_missing", detail=repr(text[:80])))
    return Finding(where=document_name, problem=found.problem, remedy=found.remedy)
