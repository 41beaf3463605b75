"""A few seeded templates, and how an envelope definition uses them.

Recipients merge by roleName, case-sensitive; a role that matches nothing becomes a second recipient, as it
does at the real service.
"""

import base64
import copy

from .catalogue import JsonObject
from .pdf import text_page
from .refusals import Refusal

ONE_SIGNER = "5a0b0c5a-0000-4000-8000-0000000007e1"
TWO_SIGNERS = "5a0b0c5a-0000-4000-8000-0000000007e2"
SIGNER_AND_COPY = "5a0b0c5a-0000-4000-8000-0000000007e3"


def _signer(number: int, role: str, order: int) -> JsonObject:
    sign_here = {
        "documentId": "1",
        "pageNumber": "1",
        "xPosition": "80",
        "yPosition": str(300 + 80 * number),
        "tabLabel": f"sig_{number}",
    }
    return {
        "recipientId": str(number),
        "roleName": role,
        "routingOrder": str(order),
        "tabs": {"signHereTabs": [sign_here]},
    }


_SEEDS: dict[str, tuple[str, JsonObject]] = {
    ONE_SIGNER: ("One signer", {"signers": [_signer(1, "Signer", 1)]}),
    TWO_SIGNERS: ("Two signers in turn", {"signers": [_signer(1, "First", 1), _signer(2, "Second", 2)]}),
    SIGNER_AND_COPY: (
        "Signer and copy",
        {
            "signers": [_signer(1, "Signer", 1)],
            "carbonCopies": [{"recipientId": "2", "roleName": "Copy", "routingOrder": "2"}],
        },
    ),
}


def template(template_id: str) -> JsonObject:
    """The template as an envelope definition with documents."""
    seed = _SEEDS.get(template_id.lower())
    if seed is None:
        raise Refusal("template-unknown", f"templateId {template_id}.")
    name, recipients = seed
    page = text_page(name, ("A template of the sandbox.",))
    return {
        "templateId": template_id.lower(),
        "name": name,
        "emailSubject": f"Please sign: {name}",
        "documents": [
            {
                "documentId": "1",
                "name": f"{name}.pdf",
                "fileExtension": "pdf",
                "order": "1",
                "documentBase64": base64.b64encode(page).decode(),
            }
        ],
        "recipients": copy.deepcopy(recipients),
    }


def listing() -> JsonObject:
    rows = [
        {"templateId": key, "name": name, "uri": f"/templates/{key}"} for key, (name, _) in _SEEDS.items()
    ]
    count = str(len(rows))
    return {
        "envelopeTemplates": rows,
        "resultSetSize": count,
        "totalSetSize": count,
        "startPosition": "0",
        "endPosition": str(len(rows) - 1),
    }


def described(template_id: str) -> JsonObject:
    """The template as GET shows it: without document bytes."""
    found = template(template_id)
    for document in found["documents"]:
        del document["documentBase64"]
    return {**found, "uri": f"/templates/{template_id}", "shared": "false"}


def resolve(definition: JsonObject) -> JsonObject:
    """The definition with its templates written out; itself when it uses none."""
    if definition.get("compositeTemplates"):
        return _resolve_composites(definition)
    if not definition.get("templateId"):
        if definition.get("templateRoles"):
            raise Refusal("template-roles-without-template")
        return definition
    base = template(str(definition["templateId"]))
    merged = {**definition}
    merged["emailSubject"] = definition.get("emailSubject") or base["emailSubject"]
    merged["documents"] = [*base["documents"], *(definition.get("documents") or [])]
    roles = {"signers": [dict(role) for role in definition.get("templateRoles") or []]}
    merged["recipients"] = merge_recipients(base["recipients"], roles)
    return merged


def _resolve_composites(definition: JsonObject) -> JsonObject:
    merged = {
        **definition,
        "documents": [],
        "recipients": {},
        "customFields": definition.get("customFields") or {},
    }
    for composite in definition["compositeTemplates"]:
        layers = [
            (int(t.get("sequence") or 1), template(str(t.get("templateId"))))
            for t in composite.get("serverTemplates") or []
        ]
        layers += [(int(t.get("sequence") or 1), t) for t in composite.get("inlineTemplates") or []]
        own_document = composite.get("document")
        if own_document:
            merged["documents"].append(own_document)
        for _, layer in sorted(layers, key=lambda pair: pair[0]):
            if not own_document:
                merged["documents"].extend(layer.get("documents") or [])
            if layer.get("emailSubject") and not definition.get("emailSubject"):
                merged["emailSubject"] = layer["emailSubject"]
            merged["recipients"] = merge_recipients(merged["recipients"], layer.get("recipients") or {})
            merged["customFields"] = {**merged["customFields"], **(layer.get("customFields") or {})}
    return merged


def merge_recipients(base: JsonObject, over: JsonObject) -> JsonObject:
    """Later layers win; same roleName is the same recipient, whatever its kind in a templateRoles list."""
    merged: JsonObject = copy.deepcopy(base)
    by_role = {item["roleName"]: item for items in merged.values() for item in items if item.get("roleName")}
    taken = [
        int(item["recipientId"])
        for items in merged.values()
        for item in items
        if item["recipientId"].isdigit()
    ]
    following = max(taken, default=0)
    for kind, items in over.items():
        for item in items or []:
            known = by_role.get(item.get("roleName"))
            if known is not None:
                known.update({key: value for key, value in item.items() if key != "recipientId"})
                continue
            following += 1
            merged.setdefault(kind, []).append({"recipientId": str(following), **item})
    return merged
