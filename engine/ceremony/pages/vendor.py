"""Fetches what the pages need from the lock file beside it, and writes the manifest that a test checks.

`python -m engine.ceremony.pages.vendor` runs `npm install` in a scratch folder (package scripts off), copies the files
named here with their licences into static/vendor, and writes static/vendor/manifest.json with each file's SHA-256.
Only for whoever changes a version: the copies are committed, and nothing is fetched at build, start or run time.
The pages' policy forbids WebAssembly, so pdf.js's script fallbacks are taken and its modules are left out, as are
its viewer, its sandbox (no script of a document ever runs) and its unminified builds.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_PAGES = Path(__file__).parent
VENDOR = _PAGES / "static" / "vendor"
MANIFEST = VENDOR / "manifest.json"
# axe-core looks for barriers in the browser tests; it is no part of the product.
TEST_VENDOR = _PAGES.parents[2] / "tests" / "browser" / "vendor"

_SETS = ("latin", "latin-ext", "cyrillic")
_HANDS = ("caveat", "dancing-script", "great-vibes")
# (in node_modules, in static/vendor); a folder is copied whole.
COPIES: tuple[tuple[str, str], ...] = (
    ("pdfjs-dist/LICENSE", "pdfjs/LICENSE"),
    ("pdfjs-dist/build/pdf.min.mjs", "pdfjs/pdf.min.mjs"),
    ("pdfjs-dist/build/pdf.worker.min.mjs", "pdfjs/pdf.worker.min.mjs"),
    ("pdfjs-dist/cmaps", "pdfjs/cmaps"),
    ("pdfjs-dist/standard_fonts", "pdfjs/standard_fonts"),
    ("pdfjs-dist/wasm/openjpeg_nowasm_fallback.js", "pdfjs/wasm/openjpeg_nowasm_fallback.js"),
    ("pdfjs-dist/wasm/jbig2_nowasm_fallback.js", "pdfjs/wasm/jbig2_nowasm_fallback.js"),
    ("pdfjs-dist/wasm/LICENSE_OPENJPEG", "pdfjs/wasm/LICENSE_OPENJPEG"),
    ("pdfjs-dist/wasm/LICENSE_PDFJS_OPENJPEG", "pdfjs/wasm/LICENSE_PDFJS_OPENJPEG"),
    ("pdfjs-dist/wasm/LICENSE_JBIG2", "pdfjs/wasm/LICENSE_JBIG2"),
    ("pdfjs-dist/wasm/LICENSE_PDFJS_JBIG2", "pdfjs/wasm/LICENSE_PDFJS_JBIG2"),
    ("signature_pad/LICENSE", "signature_pad/LICENSE"),
    ("signature_pad/dist/signature_pad.min.js", "signature_pad/signature_pad.min.js"),
    *((f"@fontsource/{hand}/LICENSE", f"fonts/LICENSE-{hand}") for hand in _HANDS),
    *(
        (f"@fontsource/{hand}/files/{hand}-{part}-400-normal.woff2", f"fonts/{hand}-{part}.woff2")
        for hand in _HANDS
        for part in _SETS
    ),
)
# Not every hand knows every script.
_MISSING = {"dancing-script-cyrillic-400-normal.woff2"}
TEST_COPIES = (("axe-core/LICENSE", "LICENSE"), ("axe-core/axe.min.js", "axe.min.js"))


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file but the manifest, by its path inside the folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST.name
    }


def fetch() -> None:
    """Rewrites both vendor folders. Raises CalledProcessError when npm cannot install what is locked."""
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm is needed to fetch the vendored files")
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(_PAGES / name, scratch)
        # --force: pdf.js names a newer Node than copying its files needs. Not `ci`: it refuses a lock that lacks the
        # optional native parts for other systems. What the lock names is checked against its hashes all the same.
        subprocess.run(  # noqa: S603  (fixed arguments, the program that PATH names)
            [
                npm,
                "install",
                "--no-save",
                "--ignore-scripts",
                "--omit=optional",
                "--no-audit",
                "--no-fund",
                "--force",
            ],
            cwd=scratch,
            check=True,
        )
        modules = Path(scratch) / "node_modules"
        for folder, copies in ((VENDOR, COPIES), (TEST_VENDOR, TEST_COPIES)):
            shutil.rmtree(folder, ignore_errors=True)
            for source, target in copies:
                if Path(source).name not in _MISSING:
                    _copy(modules / source, folder / target)
    MANIFEST.write_text(json.dumps(digests(VENDOR), indent=1) + "\n", encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


if __name__ == "__main__":
    fetch()
