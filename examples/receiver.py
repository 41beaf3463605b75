"""Receives the gateway's webhooks and verifies each by the standard headers. Standard library only.

    COUNTERSIGN_SECRET=whsec_... python receiver.py 9000

Register http://127.0.0.1:9000/ as an endpoint (POST /api/v1/signatures/webhooks); the answer shows the secret
once, as standard_secret. Three rules: verify the raw bytes before parsing, answer 2xx quickly, and expect the
same webhook-id more than once.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = base64.b64decode(os.environ["COUNTERSIGN_SECRET"].removeprefix("whsec_"))
TOLERANCE_S = 300
seen = set()  # a real receiver keeps these in its database, in the transaction that has the effect


def is_authentic(body, headers):
    message, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE_S:
        return False
    signed = f"{message}.{timestamp}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    # Several signatures stand there while a secret is being rotated.
    return any(hmac.compare_digest(one, expected) for one in headers.get("webhook-signature", "").split())


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        authentic = is_authentic(body, self.headers)
        self.send_response(204 if authentic else 401)
        self.end_headers()
        if authentic and self.headers["webhook-id"] not in seen:
            seen.add(self.headers["webhook-id"])
            event = json.loads(body)
            print(event["type"], event["data"].get("envelope", {}).get("id", ""), flush=True)

    def log_message(self, *_):
        """Silent: what matters is printed above."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
