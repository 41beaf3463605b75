"""A responder of canned provider bytes in a process of its own: DocuSign's token, userinfo and create answers.

As little work per request as possible; only the new envelope's id differs from answer to answer. Prints its
port, then serves until its standard input closes. `GET /spent` answers with requests so far and CPU seconds.
"""

import asyncio
import json
import time
import uuid

from bench._stdin_server import serve

_JSON = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
_TOKEN = json.dumps({"access_token": "canned", "token_type": "Bearer", "expires_in": 28800}).encode()


class _Connection(asyncio.Protocol):
    creates = 0

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._needed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= self._needed and (end := self._buffer.find(b"\r\n\r\n", 0, 8192)) >= 0:
            head = bytes(self._buffer[:end])
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                self._needed = end + 4 + length
                return
            del self._buffer[: end + 4 + length]
            self._needed = 0
            self._answer(head.split(b"\r\n", 1)[0])

    def _answer(self, line: bytes) -> None:
        status, body = b"200 OK", _TOKEN
        if line.startswith(b"POST") and b"/envelopes" in line:
            _Connection.creates += 1
            status = b"201 Created"
            body = (
                b'{"envelopeId":"%b","uri":"/envelopes/x","status":"sent",'
                b'"statusDateTime":"2026-11-22T12:00:00.0000000Z"}' % str(uuid.uuid4()).encode()
            )
        elif b"/spent" in line:
            body = json.dumps({"creates": _Connection.creates, "cpu_s": time.process_time()}).encode()
        if not isinstance(self._transport, asyncio.Transport):
            raise TypeError("a stream transport was expected")
        self._transport.write(_JSON % (status, len(body), body))


if __name__ == "__main__":
    serve(_Connection, backlog=512)
