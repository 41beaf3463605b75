"""Recipients: who receives an envelope, in which role, in which order, and how they prove who they are.

Must never hold a provider's word for a role or a method; adapters translate.
"""

from enum import StrEnum
from uuid import UUID

import msgspec


class Role(StrEnum):
    SIGNER = "signer"
    APPROVER = "approver"
    REVIEWER = "reviewer"
    CARBON_COPY = "carbon_copy"
    CERTIFIED_DELIVERY = "certified_delivery"
    IN_PERSON = "in_person"

    @property
    def acts(self) -> bool:
        """A carbon copy is informed; everybody else must do something before the envelope can complete."""
        return self is not Role.CARBON_COPY

    @property
    def signs(self) -> bool:
        return self in {Role.SIGNER, Role.IN_PERSON}


class AuthenticationMethod(StrEnum):
    """How one recipient proves who they are, beyond holding the link."""

    EMAIL = "email"
    EMAIL_OTP = "email_otp"
    ACCESS_CODE = "access_code"
    SMS = "sms"
    PHONE_CALL = "phone_call"
    KNOWLEDGE = "knowledge"
    ID_VERIFICATION = "id_verification"
    PROVIDER_LOGIN = "provider_login"
    CERTIFICATE = "certificate"


class AuthenticationLevel(StrEnum):
    """The least that every acting recipient of an envelope must pass; an unknown level is refused."""

    EMAIL = "email"
    SMS = "sms"
    KNOWLEDGE = "knowledge"
    ID_VERIFICATION = "id_verification"


LEVEL_METHOD: dict[AuthenticationLevel, AuthenticationMethod] = {
    AuthenticationLevel.EMAIL: AuthenticationMethod.EMAIL,
    AuthenticationLevel.SMS: AuthenticationMethod.SMS,
    AuthenticationLevel.KNOWLEDGE: AuthenticationMethod.KNOWLEDGE,
    AuthenticationLevel.ID_VERIFICATION: AuthenticationMethod.ID_VERIFICATION,
}


class Phone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`country_code` without plus ("1", "49"), `number` digits only."""

    country_code: str
    number: str

    def __repr__(self) -> str:
        return f"Phone(+{self.country_code} ...{self.number[-2:]})"


class AccessCode(msgspec.Struct, frozen=True):
    """A code that the sender tells the recipient by another way. Its repr never shows it."""

    value: str

    def __repr__(self) -> str:
        return "AccessCode(***)"


class KnowledgeQuestion(msgspec.Struct, frozen=True):
    """A question of the sender's. `answer_hash` is argon2id of the normalised answer: nobody keeps the answer."""

    question: str
    answer_hash: str

    def __repr__(self) -> str:
        return "KnowledgeQuestion(***)"


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """`embedded` recipients sign inside the caller's own page and get no e-mail from the provider.

    `authentication` is asked first, then `further_authentication` in its order: all of them must be passed.
    `host_name` and `host_email` name the person who hands over the device to an IN_PERSON signer.
    """

    id: UUID
    name: str
    email: str
    role: Role = Role.SIGNER
    routing_order: int = 1
    authentication: AuthenticationMethod = AuthenticationMethod.EMAIL
    further_authentication: tuple[AuthenticationMethod, ...] = ()
    access_code: AccessCode | None = None
    knowledge: tuple[KnowledgeQuestion, ...] = ()
    phone: Phone | None = None
    embedded: bool = False
    host_name: str = ""
    host_email: str = ""
    template_role: str = ""
    note: str = ""
    language: str = ""
    country: str = ""
    provider_ref: str = ""

    @property
    def methods(self) -> tuple[AuthenticationMethod, ...]:
        """Every method asked for, each once, in order."""
        return tuple(dict.fromkeys((self.authentication, *self.further_authentication)))
