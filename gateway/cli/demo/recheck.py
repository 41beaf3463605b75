"""Checks the demo's saved files against its report, in a process of its own, with the standard library only.

    python recheck.py REPORT.json

Recomputes the SHA-256 of every saved PDF and reads the last link of every exported chain anew. Prints what
does not fit; exit status 0 when everything does. Must never import anything of ours.
"""

import hashlib
import json
import sys
from pathlib import Path


def recheck(report: dict[str, object], folder: Path) -> list[str]:
    """One sentence per thing that is not as reported."""
    wrong = []
    input_sha256 = hashlib.sha256((folder / "input.pdf").read_bytes()).hexdigest()
    envelopes = report["envelopes"]
    if not isinstance(envelopes, list) or not envelopes:
        return ["the report names no envelopes"]
    for envelope in envelopes:
        name = envelope["id"]
        signed = Path(envelope["signed_pdf"]).read_bytes()
        if hashlib.sha256(signed).hexdigest() != envelope["signed_sha256"]:
            wrong.append(f"{name}: the signed PDF is not the one that was reported")
        if not signed.startswith(b"%PDF-"):
            wrong.append(f"{name}: the signed document is no PDF")
        if envelope["input_sha256"] != input_sha256:
            wrong.append(f"{name}: the document that was sent is not input.pdf")
        if envelope["signed_sha256"] == input_sha256:
            wrong.append(f"{name}: the signed PDF is the unsigned one")
        wrong += [
            f"{name}: a sealed file is not the one that was verified"
            for sealed in envelope.get("sealed", [])
            if hashlib.sha256(Path(sealed["file"]).read_bytes()).hexdigest() != sealed["sha256"]
        ]
        last = json.loads(Path(envelope["ledger_file"]).read_bytes().splitlines()[-1])
        head = (envelope["ledger_sequence"], envelope["ledger_head"])
        if last["kind"] != "head" or (last["seq"], last["hash"]) != head:
            wrong.append(f"{name}: the ledger's head is not the one that was reported")
    return wrong


def main() -> int:
    file = Path(sys.argv[1])
    wrong = recheck(json.loads(file.read_bytes()), file.parent)
    print("\n".join(wrong) or "every hash and head is as reported")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
