"""Makes the certificate of completion: pages for people, the same facts as signed JSON inside, and a seal on it.

Attached are completion.json, its signature (CMS, detached, with a timestamp), the RFC 3161 token over the audit
chain's head, and the files that signers added when they are small. Takes processor time: MUST run in a thread with
a loop of its own (`run_apart`).
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from pyhanko.pdf_utils.embed import EmbeddedFileObject, FileSpec, embed_file

from engine.sealing.completion_facts import Completion, SealFacts
from engine.sealing.completion_pages import draw_completion
from engine.sealing.seal import SealedFile, SealOrder, seal_file
from engine.sealing.signer import KeySigner, SealingKey
from engine.sealing.signing import SealTools
from engine.sealing.timestamps import Stamper

JSON_NAME, SIGNATURE_NAME, TOKEN_NAME = "completion.json", "completion.json.p7s", "chain-head.tst"


async def make_certificate(
    tools: SealTools,
    key: SealingKey,
    facts: Completion,
    pictures: Mapping[str, bytes],
    target: Path,
    carried: Mapping[str, bytes] | None = None,
) -> SealedFile:
    """`carried`: signers' files by their names inside. Writes the sealed certificate to `target`;
    a draft of it lies beside for a moment. Raises SealingFailed.
    """
    writer, _ = draw_completion(facts, pictures, tools.faces)
    content = encode_completion(facts)
    signature = await KeySigner(key).async_sign_general_data(
        content, "sha256", use_cades=True, timestamper=Stamper(tools.timestamps), detached=True
    )
    attached = [
        (JSON_NAME, content, "application/json", "The certificate's facts"),
        (SIGNATURE_NAME, signature.dump(), "application/pkcs7-signature", "Signature of completion.json"),
    ]
    if facts.chain is not None:
        attached.append(
            (
                TOKEN_NAME,
                facts.chain.token,
                "application/timestamp-reply",
                "Timestamp over the audit chain's head",
            )
        )
    kinds = {one.carried_as: one.media_type for one in facts.attachments}
    attached += [(name, data, kinds[name], "Added by a signer") for name, data in (carried or {}).items()]
    for name, data, kind, description in attached:
        embedded = EmbeddedFileObject.from_file_data(writer, data=data, mime_type=kind)
        embed_file(writer, FileSpec(name, file_name=name, embedded_data=embedded, description=description))
    draft = target.with_suffix(".draft")
    with draft.open("wb") as file:
        writer.write(file)
    order = SealOrder(
        source=draft, target=target, stamps=(), pictures={}, key=key, reason="Certificate of completion"
    )
    return await seal_file(tools, order)


def encode_completion(facts: Completion) -> bytes:
    """The facts as JSON: sorted, so that the same facts are the same bytes. Pictures' places are left out."""
    people = tuple(
        msgspec.structs.replace(
            one, signatures=tuple(msgspec.structs.replace(mark, blob_key="") for mark in one.signatures)
        )
        for one in facts.recipients
    )
    return msgspec.json.format(
        msgspec.json.encode(msgspec.structs.replace(facts, recipients=people), order="sorted"), indent=1
    )


def describe_seal(key: SealingKey) -> SealFacts:
    certificate = key.certificate
    return SealFacts(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        sha256=certificate.fingerprint(SHA256()).hex(),
        not_after=certificate.not_valid_after_utc,
    )


def digest_of_head(head: bytes) -> bytes:
    """What the token over a chain's head is about."""
    return hashlib.sha256(head).digest()
