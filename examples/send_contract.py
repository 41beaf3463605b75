"""Sends a PDF for signature through the gateway and waits until it is signed. Standard library only.

    COUNTERSIGN_URL=http://127.0.0.1:8400 COUNTERSIGN_KEY=cs_... python send_contract.py contract.pdf ada@example.com

With --no-wait it ends as soon as the envelope is sent and prints its id. A real system would not ask again and
again: it registers a webhook (receiver.py) and is told.
"""

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

API = os.environ["COUNTERSIGN_URL"] + "/api/v1/signatures"
KEY = os.environ["COUNTERSIGN_KEY"]
OPEN = {"draft", "processing", "sent", "delivered", "signed"}


def call(method, path, body=None, headers=None):
    """The answer's JSON; ends the program with the gateway's own words when it refuses."""
    request = urllib.request.Request(
        API + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", **(headers or {})},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refusal:
        problem = json.load(refusal)
        sys.exit(f"{problem['code']}: {problem['detail']} {problem.get('remedy', '')}")


def send(pdf, email):
    envelope = {
        "name": pdf.stem,
        "send": True,
        "documents": [{"name": pdf.name, "content_base64": base64.b64encode(pdf.read_bytes()).decode()}],
        "recipients": [
            {
                "name": email.split("@")[0],
                "email": email,
                # Points from the top left of the page.
                "fields": [{"type": "signature", "page": 1, "x": 72, "y": 640}],
            }
        ],
    }
    # Repeated with the same key after a lost answer, the call has no second effect: keep it with the request.
    return call("POST", "/envelopes", envelope, {"Idempotency-Key": str(uuid.uuid4())})


def main():
    arguments = [one for one in sys.argv[1:] if one != "--no-wait"]
    envelope = send(Path(arguments[0]), arguments[1])
    print(envelope["id"], flush=True)
    while "--no-wait" not in sys.argv and envelope["status"] in OPEN:
        time.sleep(1)
        envelope = call("GET", f"/envelopes/{envelope['id']}")
    print(envelope["status"])


if __name__ == "__main__":
    main()
