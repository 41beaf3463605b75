"""Reads settings from TOML files and the environment: the only module that looks at the environment for them.

Later sources win: built-in defaults, then the files in order, then the environment. Every mistake is reported
at once, by the setting's name; a value is never shown, since it may be a secret.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo, fields

from config.errors import ConfigError
from config.secret import Secret
from config.settings import ENVIRONMENT_PREFIXES, Settings
from config.settings_rules import find_conflicts

CONFIG_FILE_VARIABLE = "COUNTERSIGN_CONFIG"
# Set by the supervisor for its children; /health echoes it, so that a stray process cannot answer in their place.
START_NONCE_VARIABLE = "COUNTERSIGN_START_NONCE"
_NOT_SETTINGS = frozenset({CONFIG_FILE_VARIABLE, START_NONCE_VARIABLE})
# Any variable of these families is ours; REDIS_ is shared with too many tools: only REDIS_URL is looked at.
_OWN_FAMILIES = ("COUNTERSIGN_", "DATABASE_", "SIGNATURE_", "DOCUSIGN_", "ADOBESIGN_")


def load_settings(files: Sequence[Path] = (), environ: Mapping[str, str] | None = None) -> Settings:
    """The checked settings; raises ConfigError with one line per mistake.

    `files` are read before the one that COUNTERSIGN_CONFIG names. An empty variable counts as not set.
    """
    environ = os.environ if environ is None else environ
    named = environ.get(CONFIG_FILE_VARIABLE)
    mistakes: list[str] = []
    values: dict[tuple[str, str], Any] = {}
    for path in [*files, *([Path(named)] if named else [])]:
        values |= _read_file(path, mistakes)
    values |= _read_environment(environ, mistakes)
    sections = {section: _build_section(section, values, mistakes) for section in ENVIRONMENT_PREFIXES}
    if mistakes:
        raise _refusal(mistakes)
    settings = Settings(**sections)
    conflicts = find_conflicts(settings)
    if conflicts:
        raise _refusal(conflicts)
    return settings


def start_nonce() -> str:
    """What the supervisor of this start gave its children; empty for a process that nobody supervises."""
    return os.environ.get(START_NONCE_VARIABLE, "")


def section_fields(section: str) -> dict[str, FieldInfo]:
    """The fields of a section by name."""
    struct = next(field.type for field in fields(Settings) if field.name == section)
    return {field.name: field for field in fields(struct)}


def variable_name(section: str, setting: str) -> str:
    return ENVIRONMENT_PREFIXES[section] + setting.upper()


def _read_file(path: Path, mistakes: list[str]) -> dict[tuple[str, str], Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        mistakes.append(f"{path} cannot be read ({error.strerror})")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        mistakes.append(f"{path} is not TOML ({error})")
        return {}
    found: dict[tuple[str, str], Any] = {}
    for section, table in document.items():
        if section not in ENVIRONMENT_PREFIXES or not isinstance(table, dict):
            mistakes.append(f"{path}: unknown section [{section}]{_nearest(section, ENVIRONMENT_PREFIXES)}")
            continue
        known = section_fields(section)
        for name, value in table.items():
            if name in known:
                found[section, name] = value
            else:
                mistakes.append(f"{path}: unknown setting {name} in [{section}]{_nearest(name, known)}")
    return found


def _read_environment(environ: Mapping[str, str], mistakes: list[str]) -> dict[tuple[str, str], Any]:
    known = {
        variable_name(section, name): (section, name)
        for section in ENVIRONMENT_PREFIXES
        for name in section_fields(section)
    }
    found: dict[tuple[str, str], Any] = {}
    for variable, text in environ.items():
        if variable in known:
            if text:
                section, name = known[variable]
                found[section, name] = _from_text(text, section_fields(section)[name])
        elif variable.startswith(_OWN_FAMILIES) and variable not in _NOT_SETTINGS:
            mistakes.append(f"unknown variable {variable}{_nearest(variable, known)}")
    return found


def _from_text(text: str, field: FieldInfo) -> Any:
    if _is_tuple(field.type):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _is_tuple(kind: Any) -> bool:
    return (
        kind is tuple or get_origin(kind) is tuple or (bool(get_args(kind)) and _is_tuple(get_args(kind)[0]))
    )


def _build_section(section: str, values: Mapping[tuple[str, str], Any], mistakes: list[str]) -> Any:
    struct = next(field.type for field in fields(Settings) if field.name == section)
    arguments: dict[str, Any] = {}
    for name, field in section_fields(section).items():
        if (section, name) not in values:
            continue
        try:
            arguments[name] = msgspec.convert(
                values[section, name], field.type, strict=False, dec_hook=_decode_our_types
            )
        except msgspec.ValidationError as error:
            # msgspec describes type and range, and quotes the value of an enum only: no secret is one.
            mistakes.append(f"[{section}] {name} (or {variable_name(section, name)}): {error}")
    return struct(**arguments)


def _decode_our_types(kind: type, value: Any) -> Any:
    if not isinstance(value, str):
        raise msgspec.ValidationError("Expected text")
    if kind is Secret:
        return Secret(value)
    if issubclass(kind, Path):
        return Path(value).expanduser()
    # msgspec's word for a type that nobody decodes: a setting of ours has a new one.
    raise NotImplementedError(kind)


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def _refusal(mistakes: Sequence[str]) -> ConfigError:
    return ConfigError("the settings are refused:\n" + "\n".join(f"  - {mistake}" for mistake in mistakes))
