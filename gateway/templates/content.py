"""What a template says: roles instead of people, with the fields that each has to fill.

Structs here are the API's own bodies and what is stored: unknown attributes are refused.
"""

from typing import Annotated

import msgspec

from config.settings import LimitSettings
from gateway.envelopes.draft import (
    DocumentInput,
    FieldInput,
    RemindersInput,
    Text100,
    Text200,
    find_field_faults,
)
from normalizer.errors import Finding
from normalizer.recipient import AuthenticationLevel, AuthenticationMethod, Role


class RoleInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place that a person takes in each envelope. Who it is, is said there; what they do, here."""

    name: Text100
    role: Role = Role.SIGNER
    routing_order: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    authentication_methods: Annotated[tuple[AuthenticationMethod, ...], msgspec.Meta(max_length=6)] = ()
    note: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    fields: tuple[FieldInput, ...] = ()


class TemplateContent(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a template beside its name and documents."""

    roles: tuple[RoleInput, ...]
    message: str = ""
    document_type: str = ""
    authentication_level: AuthenticationLevel = AuthenticationLevel.EMAIL
    reminders: RemindersInput | None = None
    language: str = ""


class TemplateInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A template as it is made or changed. `version`, of a change: the one that was read; the documents stay when
    none are given then.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    description: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    documents: tuple[DocumentInput, ...] = ()
    roles: tuple[RoleInput, ...] = ()
    message: Annotated[str, msgspec.Meta(max_length=10000)] = ""
    document_type: Annotated[str, msgspec.Meta(max_length=100)] = ""
    authentication_level: AuthenticationLevel = AuthenticationLevel.EMAIL
    reminders: RemindersInput | None = None
    language: Text200 = ""
    version: Annotated[int, msgspec.Meta(ge=0)] = 0

    @property
    def content(self) -> TemplateContent:
        return TemplateContent(
            roles=self.roles,
            message=self.message,
            document_type=self.document_type,
            authentication_level=self.authentication_level,
            reminders=self.reminders,
            language=self.language,
        )


def find_template_faults(given: TemplateInput, documents: int, limits: LimitSettings) -> tuple[Finding, ...]:
    """Everything wrong with the input; `documents`: how many the template will have."""
    faults: list[Finding] = []
    placed = sum(len(role.fields) for role in given.roles)
    for where, what, number, limit in (
        ("/documents", "documents", documents, limits.documents_per_envelope),
        ("/roles", "roles", len(given.roles), limits.recipients_per_envelope),
        ("/roles", "fields", placed, limits.fields_per_envelope),
    ):
        if number > limit:
            faults.append(Finding(where, f"{number} {what}; an envelope has at most {limit}."))
    if not documents:
        faults.append(Finding("/documents", "A template needs a document.", "Upload one and give its id."))
    if not given.roles:
        faults.append(Finding("/roles", "A template needs a role.", "Name who signs, for example Buyer."))
    names = [role.name.casefold() for role in given.roles]
    for index, role in enumerate(given.roles):
        where = f"/roles/{index}"
        if names.count(role.name.casefold()) > 1:
            faults.append(Finding(f"{where}/name", "Two roles have this name.", "Give each its own."))
        for number, field in enumerate(role.fields):
            faults.extend(find_field_faults(field, role.role, f"{where}/fields/{number}"))
            if field.document > documents:
                problem = f"The template has no document {field.document}."
                faults.append(Finding(f"{where}/fields/{number}/document", problem, f"Use 1 to {documents}."))
    for index, document in enumerate(given.documents):
        if bool(document.document_id) == bool(document.content_base64):
            problem = "A document needs either document_id or content_base64."
            faults.append(Finding(f"/documents/{index}", problem))
        elif document.content_base64 and not document.name:
            faults.append(Finding(f"/documents/{index}/name", "A document needs a name.", "Add a file name."))
    return tuple(faults)
