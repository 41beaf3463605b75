"""The account's identity checks: workflows by id and the legacy check names."""

from .catalogue import JsonObject

_PHONE_OPTION = {"optionName": "phone_number_list", "valueType": "PhoneNumberList", "isRequired": True}

# Ids are account specific at the provider; a client must read them, not know them.
_WORKFLOWS: dict[str, JsonObject] = {
    "Phone Authentication": {"id": "c368e411-1592-4001-a3df-dca94ac539ae", "options": [_PHONE_OPTION]},
    "DocuSign ID Verification": {"id": "c368e411-1592-4001-a3df-dca94ac539af", "options": []},
}
WORKFLOW_IDS = frozenset(str(workflow["id"]) for workflow in _WORKFLOWS.values())
CHECK_NAMES = frozenset({"Phone Auth $", "SMS Auth $", "ID Check $", "ID Check"})


def identity_verification() -> JsonObject:
    """The body of GET /identity_verification."""
    return {
        "identityVerification": [
            {
                "workflowId": workflow["id"],
                "workflowLabel": name,
                "defaultName": name,
                "defaultDescription": f"Sandbox: {name}",
                "workflowResourceKey": name.lower().replace(" ", "_"),
                "inputOptions": workflow["options"],
                "isDisabled": "false",
                "ownerType": "DocuSign",
                "steps": [{"name": name, "type": "identity"}],
            }
            for name, workflow in _WORKFLOWS.items()
        ]
    }
