"""A receiver in a process of its own that notes when it answered, by webhook-id, on the machine's monotonic clock.

What it does is in the path: `/ok` answers 204; `/mix` fails a fifth of the messages once and is slow (0.5 to 1 s)
for a tenth; `/hang` never answers. The choice hangs on the id alone, so that runs are alike. `GET /seen` gives one
line per answer: id, seconds, status. Prints its port, then serves until its standard input closes.
"""

import asyncio
import time
import zlib

from bench._stdin_server import serve

_OK = b"HTTP/1.1 204 No Content\r\n\r\n"
_FAILED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"

seen: list[str] = []
failed_once: set[bytes] = set()


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport was expected")
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = int(_header(head, b"content-length") or 0)
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self._handle(head)

    def _handle(self, head: bytes) -> None:
        path = head.split(b" ", 2)[1]
        if head.startswith(b"GET"):
            body = "\n".join(seen).encode()
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            return
        message = _header(head, b"webhook-id")
        if path.startswith(b"/ok"):
            self._answer(message, _OK, 204)
        elif path.startswith(b"/mix"):
            self._answer_in_the_mix(message)

    def _answer_in_the_mix(self, message: bytes) -> None:
        chance = zlib.crc32(message) % 1000
        answer, status = _OK, 204
        if chance < 200 and message not in failed_once:
            failed_once.add(message)
            answer, status = _FAILED, 500
        if chance % 10 == 0:  # a tenth, spread over both kinds
            delay_s = 0.5 + (chance // 10) / 200
            asyncio.get_running_loop().call_later(delay_s, self._answer, message, answer, status)
        else:
            self._answer(message, answer, status)

    def _answer(self, message: bytes, answer: bytes, status: int) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)
            seen.append(f"{message.decode()} {time.monotonic():.6f} {status}")


def _header(head: bytes, name: bytes) -> bytes:
    at = head.lower().find(b"\r\n" + name + b":")
    if at < 0:
        return b""
    start = at + len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip()


if __name__ == "__main__":
    serve(_Connection, backlog=2048)
