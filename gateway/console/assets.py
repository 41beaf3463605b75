"""The consoles' own files, in `static/`."""

from pathlib import Path
from typing import Final

from engine.ceremony.pages.served_files import ServedFiles

PREFIX: Final = "/console/static"
_FILES = ServedFiles(Path(__file__).with_name("static"), PREFIX)
address_of = _FILES.address_of
find_asset = _FILES.find
