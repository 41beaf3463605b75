"""Whether what a signature leaves out of the file is nothing but the signature itself.

pyHanko 0.38 calls a file covered when the lengths of the byte range and of the signature add up to its size. They
also do when the signature is written a second time, behind later changes, as a string with padding to the right
length (seen 2026-11): so the place itself is looked at here. Must only run in an examiner: it reads hostile bytes.
Source: ISO 32000-2 section 12.8.1 (the range is the whole file but for the value of Contents).
"""

import os
from typing import Any


def leaves_out_itself_only(one: Any) -> bool:
    """`one` is pyHanko's embedded signature. The one gap in its range is its own Contents, in hexadecimal."""
    numbers = [int(number) for number in one.byte_range]
    if len(numbers) != 4 or numbers[0] != 0 or min(numbers) < 0:
        return False
    _, begin, end, rest = numbers
    stream = one.reader.stream
    size = stream.seek(0, os.SEEK_END)
    content = one.pkcs7_content
    if end - begin != 2 * len(content) + 2 or end + rest > size:
        return False
    stream.seek(begin)
    return bool(stream.read(end - begin).lower() == b"<" + content.hex().encode() + b">")
