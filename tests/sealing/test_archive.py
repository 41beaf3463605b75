"""B-LTA: proves itself offline and years later; a status that nobody tells is never passed over."""

import asyncio
import io
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from aiohttp import web
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation.ades import ades_lta_validation, simulate_future_ades_lta_validation
from pyhanko.sign.validation.policy_decl import (
    PdfSignatureValidationSpec,
    RevinfoOnlineFetchingRule,
    RevocationInfoGatheringSpec,
    SignatureValidationSpec,
)
from pyhanko_certvalidator.context import CertValidationPolicySpec
from pyhanko_certvalidator.policy_decl import REQUIRE_REVINFO, CertRevTrustPolicy
from pyhanko_certvalidator.registry import SimpleTrustManager

from config.clock import SystemClock
from config.settings_sealing import SealLevel
from engine.development.authority import authority_app
from engine.development.authority_keys import open_authority
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.signing import SealTools
from engine.sealing.timestamps import HttpAuthority, Timestamps
from tests.sealing.authority import local_tools, root_of, seal_key, served, served_authority
from tests.sealing.papers import make_pdf
from tests.sealing.test_seal import seal


def tools_at(url: str, authority, level: SealLevel = SealLevel.AUTO) -> SealTools:
    stamps = Timestamps(
        [HttpAuthority(f"{url}/tsa", timeout_s=5)], SystemClock(), rest_s=1, roots=[root_of(authority)]
    )
    return msgspec.structs.replace(local_tools(authority), timestamps=stamps, level=level)


def test_a_seal_with_proofs_holds_offline_and_in_six_years(tmp_path):
    with served_authority(tmp_path / "authority") as (url, authority):
        content, facts = seal(tools_at(url, authority), seal_key(authority), tmp_path, make_pdf())
    assert facts.level is SealLevel.B_LTA
    assert facts.archive is not None
    assert facts.archive.serial != facts.token.serial
    # The authority is gone now: everything must be in the file.
    spec = PdfSignatureValidationSpec(
        SignatureValidationSpec(
            CertValidationPolicySpec(
                SimpleTrustManager.build([root_of(authority)]), CertRevTrustPolicy(REQUIRE_REVINFO)
            ),
            revinfo_gathering_policy=RevocationInfoGatheringSpec(RevinfoOnlineFetchingRule.LOCAL_ONLY),
        )
    )

    async def judge() -> list[str]:
        signature = PdfFileReader(io.BytesIO(content)).embedded_regular_signatures[0]
        now = await ades_lta_validation(signature, spec)
        later = PdfFileReader(io.BytesIO(content)).embedded_regular_signatures[0]
        then = await simulate_future_ades_lta_validation(
            later, spec, future_validation_time=datetime.now(UTC) + timedelta(days=6 * 365)
        )
        return [str(one.ades_subindic) for one in (now, then)]

    assert asyncio.run(judge()) == ["AdESPassed.OK", "AdESPassed.OK"]


def test_auto_is_b_t_where_the_certificates_do_not_tell_their_status(authority, tmp_path):
    tools = msgspec.structs.replace(local_tools(authority), level=SealLevel.AUTO)
    content, facts = seal(tools, seal_key(authority), tmp_path, make_pdf())
    assert (facts.level, facts.archive) == (SealLevel.B_T, None)
    assert b"/DSS" not in content


@pytest.mark.parametrize("level", [SealLevel.AUTO, SealLevel.B_LTA])
def test_a_status_that_nobody_tells_makes_no_lesser_seal(tmp_path, level):
    """Timestamps are answered, the status of certificates is not."""

    def make(url: str) -> web.Application:
        app = web.Application()
        inner = authority_app(tmp_path / "authority", f"{url}/silent")
        app.add_subapp("/stamps", inner)
        return app

    with served(make) as url:
        authority = open_authority(tmp_path / "authority")
        tools = tools_at(f"{url}/stamps", authority, level)
        with pytest.raises(SealingFailed) as caught:
            seal(tools, seal_key(authority), tmp_path, make_pdf())
    assert caught.value.trouble is SealTrouble.REVOCATION_UNAVAILABLE


def test_a_revoked_certificate_gets_no_proofs(tmp_path):
    with served_authority(tmp_path / "authority") as (url, authority):
        authority.revoke(authority.seal.certificate)
        with pytest.raises(SealingFailed) as caught:
            seal(tools_at(url, authority), seal_key(authority), tmp_path, make_pdf())
    assert caught.value.trouble in {SealTrouble.REVOCATION_UNAVAILABLE, SealTrouble.CERTIFICATE_UNSUITABLE}
