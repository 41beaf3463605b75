"""The signing pages' own files, in `static/`, and the style sheets of tenants' colours."""

from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from engine.ceremony.pages.colours import is_colour, shades_of
from engine.ceremony.pages.served_files import Asset, ServedFiles, make_asset

PREFIX: Final = "/sign/static"
_FILES = ServedFiles(Path(__file__).with_name("static"), PREFIX)
address_of = _FILES.address_of


def address_of_theme(accent: str, ink: str) -> str:
    """The style sheet of a tenant's two colours: both are in its name, so it needs no look-up."""
    return f"{PREFIX}/theme/{accent[1:]}-{ink[1:]}.css"


def find_asset(name: str) -> Asset | None:
    """What stands under PREFIX/<name>; None for what is not there."""
    first, _, rest = name.partition("/")
    return _theme(rest) if first == "theme" else _FILES.find(name)


@lru_cache(maxsize=256)
def _theme(name: str) -> Asset | None:
    accent, _, ink = name.removesuffix(".css").partition("-")
    if not (name.endswith(".css") and is_colour(f"#{accent}") and is_colour(f"#{ink}")):
        return None
    shades = msgspec.structs.asdict(shades_of(f"#{accent}", f"#{ink}"))
    lines = "".join(f"  --{name}: {value};\n" for name, value in shades.items())
    return make_asset(f":root {{\n{lines}}}\n".encode(), ".css")
