"""The newest revision that this version of the code brings, read from the migrations themselves."""

from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

import gateway.migrations


def newest_revision() -> str:
    config = Config()
    folder = Path(gateway.migrations.__path__[0])
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return ScriptDirectory.from_config(config).get_current_head() or ""
