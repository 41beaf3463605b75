"""The text of a stored document's pages, for the view that needs no picture of them."""

from uuid import UUID

from engine.documents.examine import limits_of, spooled
from engine.documents.findings import describe
from engine.documents.messages import Operation, Task
from engine.engine import Engine
from normalizer.errors import ValidationFailed


async def page_texts(engine: Engine, tenant_id: UUID, blob_key: str) -> tuple[str, ...]:
    """One text per page, empty where a page has none. Raises ValidationFailed for what cannot be read,
    ExaminerLost, and the blob store's errors.
    """
    known = engine.examiners.texts.find(tenant_id, blob_key)
    if known is not None:
        return known
    async with spooled(engine, tenant_id, blob_key) as path:
        answer = await engine.examiners.run(
            Task(operation=Operation.READ_TEXTS, source=path, limits=limits_of(engine.settings.document))
        )
    if answer.refusals:
        raise ValidationFailed(
            "The document's text cannot be read.",
            tuple(describe(refusal) for refusal in answer.refusals),
            code="document_refused",
        )
    engine.examiners.texts.keep(tenant_id, blob_key, answer.texts)
    return answer.texts
