"""A receiver in a process of its own: reads POSTs, answers 204, counts. As little work per request as possible.

Prints its port, then serves until its standard input closes. `GET /` answers with the number of POSTs so far.
"""

import asyncio

from bench._stdin_server import serve

_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class _Connection(asyncio.Protocol):
    posts = 0

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 : (head.find(b"\r\n", at) + 1 or len(head) + 1) - 1]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        if not isinstance(self._transport, asyncio.Transport):
            raise TypeError("a stream transport was expected")
        if head.startswith(b"post"):
            _Connection.posts += 1
            self._transport.write(_ANSWER)
        else:
            body = str(_Connection.posts).encode()
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


if __name__ == "__main__":
    serve(_Connection, backlog=512)
