"""What each role means for the statuses of an agreement and of a participant set, as one table.

Source: provider contracts B2 and B3; the terminal word's precedence (SIGNED, APPROVED, ACCEPTED,
FORM_FILLED, DELIVERED) follows the guide's event table.
"""

from typing import NamedTuple


class Step(NamedTuple):
    """The words of one role."""

    out_status: str
    waiting_status: str
    terminal_status: str
    action_type: str


# In order of precedence.
STEPS: dict[str, Step] = {
    "SIGNER": Step("OUT_FOR_SIGNATURE", "WAITING_FOR_MY_SIGNATURE", "SIGNED", "ESIGNED"),
    "APPROVER": Step("OUT_FOR_APPROVAL", "WAITING_FOR_MY_APPROVAL", "APPROVED", "APPROVED"),
    "ACCEPTOR": Step("OUT_FOR_ACCEPTANCE", "WAITING_FOR_MY_ACCEPTANCE", "ACCEPTED", "ACCEPTED"),
    "FORM_FILLER": Step("OUT_FOR_FORM_FILLING", "WAITING_FOR_MY_FORM_FILLING", "FORM_FILLED", "FORM_FILLED"),
    "CERTIFIED_RECIPIENT": Step(
        "OUT_FOR_DELIVERY", "WAITING_FOR_MY_ACKNOWLEDGEMENT", "DELIVERED", "ACKNOWLEDGED"
    ),
}
_DELEGATE = "DELEGATE_TO_"
SHARE = "SHARE"

TERMINAL_OK = frozenset(step.terminal_status for step in STEPS.values()) | {"ARCHIVED"}
TERMINAL_NOT_OK = frozenset({"CANCELLED", "ABORTED", "EXPIRED"})
TERMINAL = TERMINAL_OK | TERMINAL_NOT_OK


def acting_role(role: str) -> str:
    """The role whose action is in question: a delegator's is that of the person delegated to."""
    return role.removeprefix(_DELEGATE)


def is_delegator(role: str) -> bool:
    return role.startswith(_DELEGATE)


def waiting_status(role: str) -> str:
    return "WAITING_FOR_MY_DELEGATION" if is_delegator(role) else STEPS[acting_role(role)].waiting_status


def strongest(roles: set[str]) -> Step:
    """The step that gives an agreement its status when several roles are present."""
    return next(step for role, step in STEPS.items() if role in {acting_role(each) for each in roles})


def is_waiting(status: str) -> bool:
    return status.startswith("WAITING_FOR_MY_")


def is_out(status: str) -> bool:
    return status.startswith("OUT_FOR_")
