"""Makes an envelope's input out of a template: people take the roles, documents are shared, fields come along.

This happens before anything is checked or routed, so every provider gets an ordinary envelope. Must never leave
out a role in silence: one without a person is a finding.
"""

from collections.abc import Mapping
from uuid import UUID

import msgspec

from gateway.envelopes.draft import DocumentInput, EnvelopeInput, RecipientInput
from gateway.services import Services
from gateway.templates.content import RoleInput
from gateway.templates.store import StoredTemplate, TemplateDocument, load_template
from normalizer.errors import Finding, ValidationFailed
from normalizer.ids import Kind, print_id, read_id
from normalizer.recipient import AuthenticationLevel


class FilledTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """`draft` names the template's documents by their printed ids, which `documents` resolves: they become rows of
    the envelope's own. `template` None: the caller used none.
    """

    draft: EnvelopeInput
    documents: Mapping[str, TemplateDocument]
    template: StoredTemplate | None = None


async def fill_template(services: Services, tenant_id: UUID, draft: EnvelopeInput) -> FilledTemplate:
    """The envelope that the template and the given people make. Raises NotFound for the template,
    ValidationFailed for roles that are not there, not filled, or filled twice.
    """
    if not draft.template_id:
        if draft.roles:
            raise ValidationFailed(
                "The envelope cannot be taken as it is.",
                (Finding("/roles", "Roles are a template's.", "Give template_id, or use recipients."),),
            )
        return FilledTemplate(draft=draft, documents={})
    template = await load_template(services.database, tenant_id, read_id(Kind.TEMPLATE, draft.template_id))
    people, faults = _cast(template, draft)
    if draft.template_ref:
        faults.append(Finding("/template_ref", "A template is ours or the provider's.", "Give one of them."))
    if faults:
        raise ValidationFailed("The template cannot be filled like this.", tuple(faults))
    documents = {print_id(Kind.DOCUMENT, one.id): one for one in template.documents}
    content = template.content
    given_level = draft.authentication_level
    return FilledTemplate(
        draft=msgspec.structs.replace(
            draft,
            documents=(*(DocumentInput(document_id=one) for one in documents), *draft.documents),
            recipients=tuple(people),
            roles={},
            message=draft.message or content.message,
            document_type=draft.document_type or content.document_type,
            authentication_level=content.authentication_level
            if given_level is AuthenticationLevel.EMAIL
            else given_level,
            reminders=draft.reminders or content.reminders,
            language=draft.language or content.language,
        ),
        documents=documents,
        template=template,
    )


def _cast(template: StoredTemplate, draft: EnvelopeInput) -> tuple[list[RecipientInput], list[Finding]]:
    """Everybody who receives the envelope, the template's roles first, and what is wrong with it."""
    faults: list[Finding] = []
    known = {role.name.casefold(): role for role in template.content.roles}
    people: dict[str, RecipientInput] = {}
    others: list[RecipientInput] = []
    named = [(f"/roles/{name}", name, person) for name, person in draft.roles.items()]
    named += [
        (f"/recipients/{index}/template_role", person.template_role, person)
        for index, person in enumerate(draft.recipients)
        if person.template_role
    ]
    for where, name, person in named:
        key = name.casefold()
        if key not in known:
            listed = ", ".join(role.name for role in template.content.roles)
            faults.append(Finding(where, f"The template has no role {name!r}.", f"It has: {listed}."))
        elif key in people:
            faults.append(Finding(where, f"Two people are given for the role {name!r}.", "Give one."))
        else:
            people[key] = person
    faults.extend(
        Finding("/roles", f"Nobody is given for the role {role.name!r}.", "Say who takes it.")
        for key, role in known.items()
        if key not in people
    )
    others.extend(person for person in draft.recipients if not person.template_role)
    filled = [_fill(role, people[key]) for key, role in known.items() if key in people]
    return [*filled, *others], faults


def _fill(role: RoleInput, person: RecipientInput) -> RecipientInput:
    """What is done is the role's to say, and who does it the person's."""
    return msgspec.structs.replace(
        person,
        role=role.role,
        routing_order=role.routing_order,
        authentication_methods=person.authentication_methods or role.authentication_methods,
        note=person.note or role.note,
        template_role=role.name,
        fields=(*role.fields, *person.fields),
    )
