"""I8: the secrets of a run, and every place where one of them might have been left.

The forms in which a secret may hide are those of the design's rule: plain, Base64, hexadecimal, URL-encoded.
"""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from config.embedded_postgres import binary
from config.secret import Secret
from tests.chaos.house import ChaosHouse
from tests.chaos.load import ACCESS_CODE
from tests.chaos.receiver import Recorder

_SHORTEST = 12


def canaries(house: ChaosHouse, recorder: Recorder) -> dict[str, str]:
    """Secrets by what they are. Words that a sandbox prints on purpose are secrets to the gateway all the same."""
    development = house.house.development
    found = {
        "tenant key": development.tenant_key.split("_")[3],
        "administrator key": development.administrator_key.split("_")[3],
        "access code": ACCESS_CODE,
    }
    passwords = json.loads((house.folder / "passwords.json").read_text())
    found |= {f"password of {name}": value for name, value in passwords.items()}
    found |= {f"endpoint secret {number}": one for number, one in enumerate(recorder.secrets)}
    for sandbox in house.house.sandboxes.values():
        found |= {f"{sandbox.provider} webhook key": one for one in sandbox.webhook_keys}
        for name, value in sandbox.credentials.items():
            if name in {"private_key", "client_secret", "refresh_token"}:
                lines = [line for line in str(value).splitlines() if not line.startswith("-----")]
                found[f"{sandbox.provider} {name}"] = lines[len(lines) // 2]
    assert all(len(value) >= _SHORTEST for value in found.values()), found.keys()
    return found


def forms(secret: str) -> Iterator[bytes]:
    plain = secret.encode()
    yield plain
    yield plain.hex().encode()
    yield quote(secret, safe="").encode()
    for lead in range(3):  # Base64 of a text that contains the secret, at each of its three alignments
        coded = base64.b64encode(b"\0" * lead + plain).rstrip(b"=")
        yield coded[4 if lead else 0 : -1]


def leaks(content: bytes, secrets: dict[str, str]) -> list[str]:
    return [name for name, secret in secrets.items() if any(form in content for form in forms(secret))]


def dump(url: Secret) -> bytes:
    """Everything in the database as text."""
    done = subprocess.run(
        [str(binary("pg_dump")), "--dbname", url.reveal(), "--no-owner"],
        capture_output=True,
        check=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
    )
    return done.stdout


def written(folder: Path) -> dict[str, bytes]:
    """Logs, the stores' files that are text, and Valkey's journal; not what is meant to hold keys."""
    places = [*folder.glob("*.log"), *(folder / "valkey").rglob("*.aof")]
    return {str(place.relative_to(folder)): place.read_bytes() for place in places}


def places_of(house: ChaosHouse) -> dict[str, bytes]:
    """Everything that is searched."""
    superuser = house.house.stores.postgres.superuser_url("countersign")
    return written(house.folder) | {"pg_dump": dump(superuser)}


def find_leaks(house: ChaosHouse, recorder: Recorder) -> dict[str, list[str]]:
    """Which secrets are where; empty is how it must be."""
    secrets = canaries(house, recorder)
    found = {name: leaks(content, secrets) for name, content in places_of(house).items()}
    return {name: told for name, told in found.items() if told}
