"""Asks the gateway whether the signatures of a PDF hold, and says so in words. Standard library only.

    COUNTERSIGN_URL=http://127.0.0.1:8400 COUNTERSIGN_KEY=cs_... python check_signed.py contract.pdf

Exit status 0 when every signature is valid; also for a development authority's, which have no legal effect.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

GOOD = {"valid", "development"}


def ask(pdf):
    """The verdict; ends the program with the gateway's own words when it refuses."""
    request = urllib.request.Request(
        os.environ["COUNTERSIGN_URL"] + "/api/v1/signatures/verify",
        method="POST",
        data=pdf.read_bytes(),
        headers={
            "Authorization": f"Bearer {os.environ['COUNTERSIGN_KEY']}",
            "Content-Type": "application/pdf",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refusal:
        problem = json.load(refusal)
        sys.exit(f"{problem['code']}: {problem['detail']} {problem.get('remedy', '')}")


def main():
    report = ask(Path(sys.argv[1]))
    print(f"{report['verdict']}: {report['summary']}")
    for one in report["signatures"]:
        print(f"  {one['signer']}, {one['signing_time']}: {one['summary']}")
    if report["matches_stored"] is not None:
        print(
            "  This is" if report["matches_stored"] else "  This is not",
            "the file that the gateway has stored.",
        )
    sys.exit(0 if report["verdict"] in GOOD else 1)


if __name__ == "__main__":
    main()
