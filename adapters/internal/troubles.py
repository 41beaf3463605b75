"""What the engine's errors mean to whoever called the provider.

There is no wire to lose an answer on, but there is a commit: lost before it, nothing was done; lost while it was
under way, nobody knows. Must never call the second "not sent".
"""

from collections.abc import Iterator
from contextlib import contextmanager

from adapters.kit.outcome import Interruption, NotSent, Rejected, Unknown
from config.errors import BlobDamaged, BlobNotFound, StoreUnavailable
from engine.documents.examiners import ExaminerLost
from normalizer.errors import CallerError, InvalidTransition, NotFound, ValidationFailed


@contextmanager
def answering() -> Iterator[None]:
    """Raises Interruption for what the engine refuses or cannot say."""
    try:
        yield
    except InvalidTransition as error:
        raise _rejected("state_conflict", error, 409) from error
    except NotFound as error:
        raise _rejected("not_found", error, 404) from error
    except ValidationFailed as error:
        code = "validation" if error.code == ValidationFailed.code else error.code
        raise _rejected(code, error, 422) from error
    except CallerError as error:
        raise _rejected(error.code, error, 422) from error
    except (BlobNotFound, BlobDamaged) as error:
        detail = "a document's bytes are not what was uploaded"
        outcome = Rejected(
            code="document_damaged", provider_code="document_damaged", detail=detail, status=422
        )
        raise Interruption(outcome) from error
    except ExaminerLost as error:
        raise Interruption(NotSent("a document could not be examined now")) from error
    except StoreUnavailable as error:
        text = str(error)
        raise Interruption(Unknown(text) if error.outcome_unknown else NotSent(text)) from error


def _rejected(code: str, error: CallerError, status: int) -> Interruption:
    provider_code = "" if error.code == code else error.code
    return Interruption(Rejected(code=code, provider_code=provider_code, detail=error.detail, status=status))
