"""Fifty megabytes are sealed from file to file: memory does not grow with the document."""

import subprocess
import sys
from pathlib import Path

from bench.seal import MOST_RSS_MB
from tests.sealing.authority import served_authority
from tests.sealing.papers import make_pdf


def test_fifty_megabytes_are_sealed_in_less_memory_than_the_limit(tmp_path: Path):
    file = tmp_path / "large.pdf"
    file.write_bytes(make_pdf(200, noise=250_000))
    assert file.stat().st_size > 49_000_000
    with served_authority(tmp_path / "authority") as (url, _):
        done = subprocess.run(
            [sys.executable, "-m", "bench.seal", "--rss", str(tmp_path), url, str(file)],
            stdout=subprocess.PIPE,
            timeout=100,
            check=True,
        )
    assert float(done.stdout) < MOST_RSS_MB
    assert file.with_suffix(".sealed").stat().st_size > file.stat().st_size
