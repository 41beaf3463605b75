"""Finds the providers: every folder beside the kit that exposes ADAPTER.

Must never name a provider. A folder that fails to import is an error, not a provider less; a folder that
exposes no ADAPTER (yet) is passed over.
"""

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType, ModuleType
from typing import cast

import adapters as _providers
from adapters.kit.port import Adapter

_KIT = "kit"


class DuplicateAdapter(Exception):
    """Two folders claim one name, inbound path or settings prefix: a programming error found at start-up."""


@cache
def adapters() -> Mapping[str, Adapter]:
    """Every provider by name, sorted. Raises DuplicateAdapter."""
    return collect(
        importlib.import_module(f"adapters.{module.name}")
        for module in pkgutil.iter_modules(_providers.__path__)
        if module.ispkg and module.name != _KIT
    )


def adapter_by_path(webhook_path: str) -> Adapter | None:
    """The provider whose webhooks arrive under this segment of the path."""
    return next((adapter for adapter in adapters().values() if adapter.webhook_path == webhook_path), None)


def collect(modules: Iterable[ModuleType]) -> Mapping[str, Adapter]:
    found: dict[str, Adapter] = {}
    claimed: dict[tuple[str, str], str] = {}
    for module in modules:
        adapter = cast("Adapter | None", getattr(module, "ADAPTER", None))
        if adapter is None:
            continue
        for kind in ("name", "webhook_path", "settings_prefix"):
            claim = (kind, getattr(adapter, kind))
            if claim in claimed:
                raise DuplicateAdapter(
                    f"{module.__name__} and {claimed[claim]} both claim {kind} {claim[1]!r}"
                )
            claimed[claim] = module.__name__
        found[adapter.name] = adapter
    return MappingProxyType(dict(sorted(found.items())))
