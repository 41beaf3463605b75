"""PDFs that somebody else has signed, made with pyHanko and a key of the tests' own."""

import asyncio
import datetime as dt
import functools
import io

import pikepdf
from asn1crypto import keys, x509
from cryptography import x509 as building
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko_certvalidator.registry import SimpleCertificateStore

from tests.engine.documents import hostile


@functools.cache
def _signer() -> signers.SimpleSigner:
    key = ec.generate_private_key(ec.SECP256R1())
    name = building.Name([building.NameAttribute(NameOID.COMMON_NAME, "Somebody Else")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    certificate = (
        building.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    plain = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return signers.SimpleSigner(
        signing_cert=x509.Certificate.load(certificate.public_bytes(serialization.Encoding.DER)),
        signing_key=keys.PrivateKeyInfo.load(plain),
        cert_registry=SimpleCertificateStore(),
    )


def sign(content: bytes, *, certify: int = 0) -> bytes:
    """`certify`: DocMDP's P (1 to 3); 0 for an approval signature."""
    permissions = {
        0: fields.MDPPerm.FILL_FORMS,
        1: fields.MDPPerm.NO_CHANGES,
        2: fields.MDPPerm.FILL_FORMS,
        3: fields.MDPPerm.ANNOTATE,
    }[certify]
    metadata = signers.PdfSignatureMetadata(
        field_name="Other", certify=bool(certify), docmdp_permissions=permissions
    )
    writer = IncrementalPdfFileWriter(io.BytesIO(content))
    target = asyncio.run(signers.async_sign_pdf(writer, metadata, signer=_signer()))
    return target.getvalue()


def signed() -> bytes:
    return sign(hostile.saved(hostile.blank()))


def certified(permission: int) -> bytes:
    return sign(hostile.saved(hostile.blank()), certify=permission)


def signed_with_script() -> bytes:
    return sign(hostile.script_on_opening())


def signed_form() -> bytes:
    return sign(hostile.filled_form())


def damaged_signed() -> bytes:
    """The cross-reference table points nowhere; readers rebuild it."""
    whole = signed()
    at = whole.rindex(b"startxref")
    return whole[:at] + b"startxref\n7\n%%EOF\n"


def usage_rights() -> bytes:
    """A reader maker's permission, which looks like a signature and is none."""
    pdf = hostile.blank()
    hostile.form(pdf)
    rights = pdf.make_indirect(
        pikepdf.Dictionary(Type=pikepdf.Name.Sig, ByteRange=pikepdf.Array([0, 1, 2, 3]), Contents=b"\0" * 8)
    )
    pdf.Root.Perms = pikepdf.Dictionary(UR3=rights)
    return hostile.saved(pdf)
