"""What a signer is refused, each with a code that the documentation and the pages' words know.

The pages say it in the reader's language under the key "error.<code>", with `values` filled in; problem+json
says it in English. Must never carry what the reader may not know, and never a typed value.
"""

from collections.abc import Mapping

from normalizer.errors import CallerError, Conflict, Finding, ValidationFailed


class SessionOver(CallerError):
    """Never began, has ended, or belongs to another browser: these look the same."""

    code = "session_over"
    remedy = "Open the link in the mail again."

    def __init__(self) -> None:
        super().__init__("There is no session here, or it has ended.")


class AuthenticationNeeded(CallerError):
    code = "authentication_needed"
    remedy = "Prove who you are first."

    def __init__(self) -> None:
        super().__init__("A method of authentication is still to be passed.")


class FieldRefused(ValidationFailed):
    """One field's value cannot be taken. `code` says why, `values` fill in the page's sentence."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        where: str = "",
        values: Mapping[str, str] | None = None,
        remedy: str = "",
    ) -> None:
        super().__init__(detail, (Finding(where, detail, remedy),) if where else (), code=code)
        self.values = dict(values or {})
        if remedy:
            self.remedy = remedy


class FieldAlreadySigned(Conflict):
    code = "field_already_signed"
    remedy = "Nothing is lost: load the page again to see the signature."

    def __init__(self) -> None:
        super().__init__("Field already signed.")


class FieldChanged(CallerError):
    """If-Match names an older version: another tab, or another device, was quicker."""

    code = "field_changed"
    remedy = "Read the field again and repeat the change with its version."

    def __init__(self, version: int) -> None:
        super().__init__(f"The field has been changed meanwhile; its version is {version}.")


class VersionMissing(CallerError):
    code = "if_match_missing"
    remedy = "Send the field's version in If-Match."

    def __init__(self) -> None:
        super().__init__("A field is changed with its version in If-Match.")


class FieldsMissing(ValidationFailed):
    """The findings name the fields by their ids and pages."""

    code = "fields_missing"

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("Required fields are still empty.", findings)
        self.values = {"count": str(len(findings))}


class ConsentNeeded(CallerError):
    code = "consent_needed"
    remedy = "Consent to electronic records first, or ask the sender for paper."


class NotPermitted(CallerError):
    """The sender or the installation does not allow it."""

    code = "not_permitted"


class PictureRefused(ValidationFailed):
    def __init__(self, code: str, detail: str, *, values: Mapping[str, str] | None = None) -> None:
        super().__init__(detail, code=code)
        self.remedy = "Draw or type the signature instead, or choose another picture."
        self.values = dict(values or {})
