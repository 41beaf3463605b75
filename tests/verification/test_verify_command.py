"""`countersign verify`: verdict, status and JSON, without a database."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from engine.development.authority_keys import Authority
from tests.gateway.cli.command import CommandLine
from tests.verification import papers


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    return CommandLine({"COUNTERSIGN_DATA_DIR": str(tmp_path / "data")}, tmp_path)


async def test_a_seal_is_well_with_its_root_and_untrusted_without(
    command_line: CommandLine, authority: Authority, sealed: bytes, tmp_path: Path
) -> None:
    file, root = tmp_path / "sealed.pdf", tmp_path / "root.pem"
    file.write_bytes(sealed)
    root.write_bytes(authority.root.certificate.public_bytes(Encoding.PEM))
    good = await command_line.run("verify", str(file), "--trust", str(root), "--json")
    assert (good.status, good.document["verdict"]) == (0, "development")
    unknown = await command_line.run("verify", str(file), "--json")
    assert (unknown.status, unknown.document["verdict"]) == (1, "untrusted")


async def test_an_overlay_is_told_in_words(command_line: CommandLine, sealed: bytes, tmp_path: Path) -> None:
    file = tmp_path / "overlaid.pdf"
    file.write_bytes(papers.overlay(sealed))
    told = await command_line.run("verify", str(file), "--offline", "--language", "de")
    assert told.status == 1
    assert "Nach der Unterschrift verändert" in told.out
    assert "Der Inhalt wurde verändert" in told.out


async def test_a_missing_file_and_unreadable_roots_are_refused(
    command_line: CommandLine, sealed: bytes, tmp_path: Path
) -> None:
    assert "there is no file" in await command_line.refused("verify", str(tmp_path / "nowhere.pdf"))
    file, roots = tmp_path / "sealed.pdf", tmp_path / "roots.pem"
    file.write_bytes(sealed)
    roots.write_bytes(b"nothing")
    assert "trust roots" in await command_line.refused("verify", str(file), "--trust", str(roots))
