"""What a provider cannot do is refused by name, what it does more weakly is told; nothing is lost in silence."""

import msgspec
import pytest

from adapters.kit.port import Adapter
from normalizer.capabilities import Support
from normalizer.envelope import Envelope, SignatureLevel
from normalizer.errors import UnsupportedFeature, ValidationFailed
from normalizer.field import FieldType
from normalizer.recipient import AccessCode, AuthenticationMethod, KnowledgeQuestion, Phone, Role
from tests.conformance.envelopes import contract, paper, person, signature
from tests.conformance.stage import Desk, Stage

PROOFS = {"access_code": AccessCode("4711"), "phone": Phone("49", "1701234567")}


def with_role(desk: Desk, role: Role) -> Envelope:
    host = {"host_name": "Hanna Host", "host_email": "hanna@people.example"} if role is Role.IN_PERSON else {}
    return contract(desk.blobs, person("ann"), person("bob", 2, role=role, **host))


def with_method(desk: Desk, method: AuthenticationMethod) -> Envelope:
    own = desk.adapter.capabilities.knowledge_questions and method is AuthenticationMethod.KNOWLEDGE
    questions = {"knowledge": (KnowledgeQuestion("First pet?", "a hash"),)} if own else {}
    return contract(desk.blobs, person("ann", authentication=method, **PROOFS, **questions))


def with_field(desk: Desk, kind: FieldType) -> Envelope:
    ann, document = person("ann"), paper(desk.blobs)
    extra = signature(document, ann, type=kind, y=60.0, label="extra", options=("a", "b"), group="g")
    return contract(desk.blobs, ann, documents=(document,), fields=(signature(document, ann), extra))


def check(desk: Desk, envelope: Envelope, feature: str, support: Support | None) -> None:
    if support is None:
        with pytest.raises(UnsupportedFeature) as refused:
            desk.adapter.check(desk.connection, envelope)
        assert (refused.value.provider, refused.value.feature) == (desk.adapter.name, feature)
        return
    told = {degradation.feature for degradation in desk.adapter.check(desk.connection, envelope)}
    assert (feature in told) == (support is not Support.NATIVE)


@pytest.mark.parametrize("role", Role)
def test_role_is_refused_told_or_native_as_declared(desk: Desk, role: Role) -> None:
    check(desk, with_role(desk, role), f"role {role}", desk.adapter.capabilities.roles.get(role))


@pytest.mark.parametrize("method", AuthenticationMethod)
def test_authentication_is_refused_told_or_native_as_declared(
    desk: Desk, method: AuthenticationMethod
) -> None:
    support = desk.adapter.capabilities.authentication.get(method)
    check(desk, with_method(desk, method), f"authentication {method}", support)


@pytest.mark.parametrize("kind", FieldType)
def test_field_is_refused_told_or_native_as_declared(desk: Desk, kind: FieldType) -> None:
    check(desk, with_field(desk, kind), f"field {kind}", desk.adapter.capabilities.fields.get(kind))


@pytest.mark.parametrize("level", SignatureLevel)
def test_signature_level_is_refused_told_or_native_as_declared(desk: Desk, level: SignatureLevel) -> None:
    envelope = contract(desk.blobs, person("ann"), signature_level=level)
    support = desk.adapter.capabilities.signature_levels.get(level)
    check(desk, envelope, f"signature_level {level}", support)


async def test_refused_feature_reaches_no_provider(stage: Stage, desk: Desk) -> None:
    lacking = [role for role in Role if role not in stage.adapter.capabilities.roles]
    lacking_methods = [
        method for method in AuthenticationMethod if method not in stage.adapter.capabilities.authentication
    ]
    envelope = with_role(desk, lacking[0]) if lacking else with_method(desk, lacking_methods[0])
    with pytest.raises(UnsupportedFeature):
        stage.adapter.check(stage.connection, envelope)
    assert await stage.find(envelope.reference) == ()


def test_document_beyond_the_limit_is_refused_before_it_is_sent(desk: Desk) -> None:
    limit = desk.adapter.capabilities.max_document_bytes
    large = paper(desk.blobs, size_bytes=limit + 1)
    with pytest.raises(UnsupportedFeature):
        desk.adapter.check(desk.connection, contract(desk.blobs, documents=(large,)))


def test_connections_own_limit_is_honoured(desk: Desk) -> None:
    connection = msgspec.structs.replace(desk.connection, max_document_bytes=1000)
    with pytest.raises(UnsupportedFeature):
        large = paper(desk.blobs, size_bytes=1001)
        desk.adapter.check(connection, contract(desk.blobs, documents=(large,)))


def test_subject_beyond_the_limit_is_refused(desk: Desk) -> None:
    subject = "x" * (desk.adapter.capabilities.max_subject + 1)
    with pytest.raises(UnsupportedFeature):
        desk.adapter.check(desk.connection, contract(desk.blobs, subject=subject))


def test_document_of_an_unknown_type_is_refused(desk: Desk) -> None:
    odd = paper(desk.blobs, media_type="application/x-wordperfect")
    with pytest.raises(UnsupportedFeature, match="wordperfect"):
        desk.adapter.check(desk.connection, contract(desk.blobs, documents=(odd,)))


def test_credentials_that_are_incomplete_are_refused_without_showing_them(adapter: Adapter) -> None:
    for raw in (b"", b"[]", b"{}", b'{"client_id": 1}', b'{"unheard": "canary-secret"}', b"\xff"):
        with pytest.raises(ValidationFailed) as refused:
            adapter.decode_credentials(raw)
        assert "canary" not in str(refused.value)


def test_secret_credentials_are_declared_as_secret(adapter: Adapter) -> None:
    assert any(field.secret for field in adapter.credential_fields)
    for field in adapter.credential_fields:
        assert field.meaning
        assert field.name.isidentifier()


def test_credentials_never_show_in_a_repr(desk: Desk) -> None:
    shown = repr(desk.connection)
    for field in desk.adapter.credential_fields:
        secret = getattr(desk.connection.credentials, field.name, None)
        if field.secret and secret:
            assert secret.reveal() not in shown


def test_foreign_hosts_are_refused(desk: Desk) -> None:
    for host in ("evil.example", "169.254.169.254", "localhost.evil.example", ""):
        assert not desk.adapter.allowed_host(host, desk.connection)
