"""The pages' files: what was vendored is what the manifest says, and how a browser gets them."""

import gzip
import json
from pathlib import Path

import pytest

from engine.ceremony.pages.assets import PREFIX, address_of, address_of_theme, find_asset
from engine.ceremony.pages.colours import contrast, shades_of
from engine.ceremony.pages.vendor import COPIES, MANIFEST, VENDOR, digests

PAGES = VENDOR.parents[1]


def test_vendored_files_are_those_of_the_manifest():
    assert digests(VENDOR) == json.loads(MANIFEST.read_text(encoding="utf-8"))


def test_every_vendored_package_keeps_its_licence_and_is_pinned():
    packages = {"/".join(source.split("/")[: 2 if source[0] == "@" else 1]) for source, _ in COPIES}
    locked = json.loads((PAGES / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    wanted = json.loads((PAGES / "package.json").read_text(encoding="utf-8"))["dependencies"]
    for package in packages:
        assert any(
            source.startswith(f"{package}/LICENSE") and (VENDOR / target).is_file()
            for source, target in COPIES
        )
        assert locked[f"node_modules/{package}"]["version"] == wanted[package]
        assert locked[f"node_modules/{package}"]["integrity"].startswith("sha512-")


def test_lock_file_names_no_registry():
    assert '"resolved"' not in (PAGES / "package-lock.json").read_text(encoding="utf-8")


def test_file_under_its_address_may_be_kept_for_ever():
    asset = find_asset(address_of("vendor/pdfjs/pdf.min.mjs").removeprefix(f"{PREFIX}/"))
    assert asset is not None
    assert asset.cache_control == "public, max-age=31536000, immutable"
    assert asset.media_type == "text/javascript"
    assert gzip.decompress(asset.gzipped) == asset.body == (VENDOR / "pdfjs/pdf.min.mjs").read_bytes()


def test_file_under_another_releases_address_is_todays_and_not_kept():
    asset = find_asset("0123456789abcdef/pages.css")
    assert asset is not None
    assert asset.cache_control == "no-cache"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x",
        "x/../assets.py",
        "x/../../render.py",
        "x/vendor/manifest.json",
        "x/vendor/pdfjs/LICENSE",
        "theme/1f4fd1-zzzzzz.css",
        "theme/../pages.css",
        "theme/1f4fd1-ffffff",
    ],
)
def test_nothing_else_is_served(name: str):
    assert find_asset(name) is None


def test_theme_holds_the_tenants_colours_and_readable_shades():
    asset = find_asset(address_of_theme("#ffd23f", "#1b2330").removeprefix(f"{PREFIX}/"))
    assert asset is not None
    assert b"--accent: #ffd23f" in asset.body
    shades = shades_of("#ffd23f", "#1b2330")
    assert contrast(shades.strong, "#ffffff") >= 4.5
    assert contrast(shades.hover, shades.ink) >= 4.5


def test_contrast_is_the_standards():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_style_sheets_are_readable_on_every_ground_they_use():
    """The sheet's own pairs of text and ground, as it names them."""
    text = Path(PAGES / "static" / "pages.css").read_text(encoding="utf-8")
    colours = dict(
        line.strip().removesuffix(";").removeprefix("--").split(": ")
        for line in text.splitlines()
        if line.strip().startswith("--") and "#" in line
    )
    grounds = [colours[name] for name in ("ground", "surface")]
    pairs = [
        (colours[name], ground) for name in ("text", "muted", "good", "bad", "warn") for ground in grounds
    ]
    pairs += [(colours[name], colours[f"{name}-soft"]) for name in ("good", "bad", "warn")]
    assert [pair for pair in pairs if contrast(*pair) < 4.5] == []
