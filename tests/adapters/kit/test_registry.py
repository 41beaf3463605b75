"""Providers are found by folder, and none may take another's place."""

from types import ModuleType, SimpleNamespace

import pytest

from adapters.kit.port import InProcess
from adapters.kit.registry import DuplicateAdapter, adapter_by_path, adapters, collect


def module(folder: str, **names: str) -> ModuleType:
    made = ModuleType(f"adapters.{folder}")
    fields = {"name": folder, "webhook_path": folder, "settings_prefix": f"{folder.upper()}_"} | names
    made.ADAPTER = SimpleNamespace(**fields)
    return made


def test_folders_are_found_by_their_adapters_name() -> None:
    found = collect([module("zeta"), module("alpha"), ModuleType("adapters.unfinished")])
    assert list(found) == ["alpha", "zeta"]


@pytest.mark.parametrize("claim", ["name", "webhook_path", "settings_prefix"])
def test_second_claim_to_a_name_is_refused_with_both_folders(claim: str) -> None:
    first = module("one")
    second = module("two", **{claim: getattr(first.ADAPTER, claim)})
    with pytest.raises(DuplicateAdapter, match=r"adapters\.two and adapters\.one"):
        collect([first, second])


def test_every_folder_that_is_found_is_a_whole_adapter() -> None:
    for name, adapter in adapters().items():
        assert adapter.name == name
        assert adapter_by_path(adapter.webhook_path) is adapter
        assert adapter.sandbox.module if adapter.sandbox else isinstance(adapter, InProcess)
        assert adapter.limits.calls_per_hour > 0
    assert adapter_by_path("nobody") is None
