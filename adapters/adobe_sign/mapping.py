"""The tables between the provider's words and ours. Every table is total: what nobody has mapped becomes
UNKNOWN and a warning, never a success and never an exception.

Source: developer guide of 2026-04-29 (statuses, events); REST v6 swagger 1.2 (roles, methods, fields).
"""

import logging
from typing import TypeVar

import msgspec

from normalizer.field import FieldType
from normalizer.recipient import AuthenticationMethod, Role
from normalizer.status import EnvelopeStatus, RecipientStatus

_log = logging.getLogger("countersign.adapters.adobe_sign")

_E, _R = EnvelopeStatus, RecipientStatus

AGREEMENT_STATUS: dict[str, EnvelopeStatus] = {
    "DRAFT": _E.DRAFT,
    "AUTHORING": _E.DRAFT,  # the sender still places fields
    "PREFILL": _E.DRAFT,  # the sender still fills in
    "WAITING_FOR_AUTHORING": _E.DRAFT,  # the list's word for AUTHORING
    "WAITING_FOR_PREFILL": _E.DRAFT,
    "DOCUMENTS_NOT_YET_PROCESSED": _E.PROCESSING,
    # OUT_FOR_* changes with the role of the current step: that is no move of ours.
    "OUT_FOR_SIGNATURE": _E.SENT,
    "OUT_FOR_APPROVAL": _E.SENT,
    "OUT_FOR_ACCEPTANCE": _E.SENT,
    "OUT_FOR_DELIVERY": _E.SENT,
    "OUT_FOR_FORM_FILLING": _E.SENT,
    "IN_REVISION": _E.SENT,  # being modified in flight; comes back to OUT_FOR_*
    "WAITING_FOR_VERIFICATION": _E.SENT,
    "WIDGET_WAITING_FOR_VERIFICATION": _E.SENT,
    "WAITING_FOR_FAXIN": _E.SENT,
    # The list shows the sender's own turn instead of OUT_FOR_* when the sender acts too.
    "WAITING_FOR_MY_SIGNATURE": _E.SENT,
    "WAITING_FOR_MY_APPROVAL": _E.SENT,
    "WAITING_FOR_MY_ACCEPTANCE": _E.SENT,
    "WAITING_FOR_MY_ACKNOWLEDGEMENT": _E.SENT,
    "WAITING_FOR_MY_FORM_FILLING": _E.SENT,
    "WAITING_FOR_MY_DELEGATION": _E.SENT,
    "WAITING_FOR_OTHERS": _E.SENT,
    # Which of the good ends it is depends on the roles that took part.
    "SIGNED": _E.COMPLETED,
    "APPROVED": _E.COMPLETED,
    "ACCEPTED": _E.COMPLETED,
    "DELIVERED": _E.COMPLETED,
    "FORM_FILLED": _E.COMPLETED,
    "ARCHIVED": _E.COMPLETED,
    # CANCELLED says that it ended, not why: withdrawn, rejected, failed. Only events tell (decide_end).
    "CANCELLED": _E.VOIDED,
    "ABORTED": _E.VOIDED,  # the newer word for CANCELLED; both are seen
    "EXPIRED": _E.EXPIRED,
}
AMBIGUOUS_END = frozenset({"CANCELLED", "ABORTED"})
STILL_PROCESSING = "DOCUMENTS_NOT_YET_PROCESSED"
AUTHORING = "AUTHORING"
DRAFT_STATES = frozenset({"DRAFT", "AUTHORING", "PREFILL", "WAITING_FOR_AUTHORING", "WAITING_FOR_PREFILL"})

PARTICIPANT_STATUS: dict[str, RecipientStatus] = {
    "NOT_YET_VISIBLE": _R.PENDING,
    "WAITING_FOR_OTHERS": _R.PENDING,
    "WAITING_FOR_MY_SIGNATURE": _R.SENT,
    "WAITING_FOR_MY_APPROVAL": _R.SENT,
    "WAITING_FOR_MY_ACKNOWLEDGEMENT": _R.SENT,
    "WAITING_FOR_MY_ACCEPTANCE": _R.SENT,
    "WAITING_FOR_MY_FORM_FILLING": _R.SENT,
    "WAITING_FOR_MY_DELEGATION": _R.SENT,
    "WAITING_FOR_MY_VERIFICATION": _R.SENT,
    "WAITING_FOR_AUTHORING": _R.PENDING,  # it is the sender who still works
    "WAITING_FOR_PREFILL": _R.PENDING,
    "COMPLETED": _R.COMPLETED,
    "CANCELLED": _R.CANCELLED,
    "EXPIRED": _R.EXPIRED,
}
WAITING_FOR_THEM = "WAITING_FOR_MY_"  # the participant sets whose turn it is

ROLE: dict[Role, str] = {
    Role.SIGNER: "SIGNER",
    Role.APPROVER: "APPROVER",
    Role.REVIEWER: "ACCEPTOR",  # the provider has no reader; an acceptor confirms what was read
    Role.CERTIFIED_DELIVERY: "CERTIFIED_RECIPIENT",
}

AUTHENTICATION: dict[AuthenticationMethod, str] = {
    AuthenticationMethod.EMAIL: "NONE",
    AuthenticationMethod.EMAIL_OTP: "EMAIL_OTP",
    AuthenticationMethod.ACCESS_CODE: "PASSWORD",
    AuthenticationMethod.SMS: "PHONE",
    AuthenticationMethod.PHONE_CALL: "PHONE",  # a text message; said as a degradation
    AuthenticationMethod.KNOWLEDGE: "KBA",
    AuthenticationMethod.ID_VERIFICATION: "GOV_ID",
    AuthenticationMethod.PROVIDER_LOGIN: "ADOBE_SIGN",
}


class FieldWords(msgspec.Struct, frozen=True):
    content_type: str
    input_type: str
    validation: str = ""


FIELD: dict[FieldType, FieldWords] = {
    FieldType.SIGNATURE: FieldWords("SIGNATURE", "SIGNATURE"),
    # The input type of initials is not in an official source; SIGNATURE is what accounts answer with.
    FieldType.INITIALS: FieldWords("SIGNER_INITIALS", "SIGNATURE"),
    FieldType.DATE_SIGNED: FieldWords("SIGNATURE_DATE", "TEXT_FIELD"),
    FieldType.TEXT: FieldWords("DATA", "TEXT_FIELD"),
    FieldType.CHECKBOX: FieldWords("DATA", "CHECKBOX"),
    FieldType.RADIO: FieldWords("DATA", "RADIO"),
    FieldType.DROPDOWN: FieldWords("DATA", "DROP_DOWN"),
    FieldType.NUMBER: FieldWords("DATA", "TEXT_FIELD", "NUMBER"),
    FieldType.DATE: FieldWords("DATA", "TEXT_FIELD", "DATE"),
    FieldType.FULL_NAME: FieldWords("SIGNER_NAME", "TEXT_FIELD"),
    FieldType.EMAIL: FieldWords("SIGNER_EMAIL", "TEXT_FIELD"),
    FieldType.COMPANY: FieldWords("SIGNER_COMPANY", "TEXT_FIELD"),
    FieldType.TITLE: FieldWords("SIGNER_TITLE", "TEXT_FIELD"),
    FieldType.ATTACHMENT: FieldWords("DATA", "FILE_CHOOSER"),
}
# The official example of an anchored signature says SIGNATURE_BLOCK, which is the signature with its lines.
ANCHORED_SIGNATURE = FieldWords("SIGNATURE_BLOCK", "SIGNATURE")

LOCALE: dict[str, str] = {
    "cs": "cs_CZ", "da": "da_DK", "de": "de_DE", "en": "en_US", "en-gb": "en_GB", "es": "es_ES",
    "fi": "fi_FI", "fr": "fr_FR", "hu": "hu_HU", "id": "in_ID", "is": "is_IS", "it": "it_IT",
    "ja": "ja_JP", "ko": "ko_KR", "ms": "ms_MY", "nb": "nb_NO", "nl": "nl_NL", "nn": "nn_NO",
    "no": "no_NO", "pl": "pl_PL", "pt": "pt_PT", "pt-br": "pt_BR", "ro": "ro_RO", "ru": "ru_RU",
    "sk": "sk_SK", "sl": "sl_SI", "sv": "sv_SE", "th": "th_TH", "tr": "tr_TR", "uk": "uk_UA",
    "vi": "vi_VN", "zh": "zh_CN", "zh-tw": "zh_TW",
}  # fmt: skip


class End(msgspec.Struct, frozen=True):
    """Why an agreement ended: our status, and what became of the recipient who caused it."""

    status: EnvelopeStatus
    recipient: RecipientStatus | None = None
    reason: str = ""


# Types of GET /agreements/{id}/events that end an agreement.
END_EVENT: dict[str, End] = {
    "REJECTED": End(_E.DECLINED, _R.DECLINED),
    "RECALLED": End(_E.VOIDED),
    "RECALLED_MAX_SIGNING_KBA_ATTEMPTS": End(_E.FAILED, _R.AUTH_FAILED, "auth_failed"),
    "RECALLED_MAX_SIGNING_PASSWORD_ATTEMPTS": End(_E.FAILED, _R.AUTH_FAILED, "auth_failed"),
    "RECALLED_MAX_SIGNING_PHONE_ATTEMPTS": End(_E.FAILED, _R.AUTH_FAILED, "auth_failed"),
    "RECALLED_MAX_SIGNING_EMAIL_OTP_ATTEMPTS": End(_E.FAILED, _R.AUTH_FAILED, "auth_failed"),
    "AUTO_CANCELLED_CONVERSION_PROBLEM": End(_E.FAILED, None, "conversion_failed"),
    "EXPIRED": End(_E.EXPIRED),
    "EXPIRED_AUTOMATICALLY": End(_E.EXPIRED),
}


def envelope_status(word: str) -> EnvelopeStatus:
    return _look_up(AGREEMENT_STATUS, word, _E.UNKNOWN, "agreement")


def recipient_status(word: str) -> RecipientStatus:
    return _look_up(PARTICIPANT_STATUS, word, _R.UNKNOWN, "participant")


def locale(language: str) -> str:
    """The provider's locale for a language tag, by its whole and then by its first part; "" when none."""
    tag = language.replace("_", "-").lower()
    return LOCALE.get(tag) or LOCALE.get(tag.partition("-")[0], "")


S = TypeVar("S", EnvelopeStatus, RecipientStatus)


def _look_up(table: dict[str, S], word: str, unknown: S, kind: str) -> S:
    status = table.get(word)
    if status is None:
        _log.warning("status.unmapped", extra={"kind": kind, "word": word[:64]})
        return unknown
    return status
