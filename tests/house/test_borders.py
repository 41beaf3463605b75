"""Borders that import contracts cannot draw: providers' names, the environment, the pure layers."""

import re
from pathlib import Path

from tests.house.tree import (
    LAYERS,
    ROOT,
    imports_of,
    is_standard,
    provider_folders,
    python_files,
    relative,
    tokens_of,
)

PROVIDERS = re.compile(r"docu[_-]?sign|adobe|acrobat|echo[_-]?sign", re.IGNORECASE)
# The design's settings prefixes, the composition root, and the commands and demo that show the providers.
MAY_NAME_PROVIDERS = (
    "config/settings.py",
    "config/settings_rules.py",
    "config/settings_source.py",
    "gateway/cli/",
)
OTHER_TEXTS = (".sql", ".lua", ".toml", ".html", ".js", ".css")
READS_ENVIRONMENT = {"environ", "environb", "getenv", "putenv"}


def test_no_provider_is_named_outside_its_own_folder():
    named = [
        f"{relative(path)}:{token.line}: {token.text.strip()[:80]}"
        for path in python_files(*LAYERS)
        if not _may_name_providers(path)
        for token in tokens_of(path)
        if token.kind != "comment" and PROVIDERS.search(token.text)
    ]
    assert named == []


def test_no_data_file_names_a_provider_outside_its_own_folder():
    named = [
        relative(path)
        for layer in LAYERS
        for path in sorted((ROOT / layer).rglob("*"))
        if path.suffix in OTHER_TEXTS
        and not _may_name_providers(path)
        and relative(path) != "config/defaults.toml"
        if PROVIDERS.search(path.read_text(encoding="utf-8"))
    ]
    assert named == []


def test_only_config_reads_the_environment():
    readers = [
        f"{relative(path)}:{token.line}"
        for path in python_files(*LAYERS)
        if not relative(path).startswith("config/")
        for token in tokens_of(path)
        if token.kind == "name" and token.text in READS_ENVIRONMENT and _imports_os(path)
    ]
    assert readers == []


def test_normalizer_and_compliance_import_msgspec_and_the_standard_library_alone():
    foreign = [
        f"{relative(path)}:{line}: {module}"
        for layer in ("normalizer", "compliance")
        for path in python_files(layer)
        for module, line in imports_of(path)
        if not (module.partition(".")[0] in {"msgspec", layer} or is_standard(module))
        # Compliance stands above the normalizer and may speak its language.
        and not (layer == "compliance" and module.partition(".")[0] == "normalizer")
    ]
    assert foreign == []


def test_the_ledgers_verifier_imports_the_standard_library_and_cryptography_alone():
    foreign = [
        f"{module} at line {line}"
        for module, line in imports_of(ROOT / "ledger" / "verify.py")
        if module.partition(".")[0] != "cryptography" and not is_standard(module)
    ]
    assert foreign == []


def test_a_sandbox_imports_nothing_of_the_house_but_itself():
    foreign = [
        f"{relative(path)}:{line}: {module}"
        for folder in provider_folders()
        for path in sorted((folder / "sandbox").rglob("*.py"))
        for module, line in imports_of(path)
        if module.partition(".")[0] in LAYERS
        and not f"{module}.".startswith(f"adapters.{folder.name}.sandbox.")
    ]
    assert foreign == []


def test_nothing_names_a_sandbox_module_in_code():
    """By name too: `import_module("adapters.x.sandbox")` would pass by the contract."""
    names = [
        f"{relative(path)}:{token.line}"
        for path in python_files(*LAYERS)
        if "sandbox" not in path.parts and path.parent.parent.name != "adapters"
        for token in tokens_of(path)
        if token.kind == "string" and re.search(r"adapters\.\w+\.sandbox", token.text)
    ]
    assert names == []


def _may_name_providers(path: Path) -> bool:
    name = relative(path)
    in_own_folder = any(folder in path.parents for folder in provider_folders())
    return in_own_folder or name.startswith(MAY_NAME_PROVIDERS)


def _imports_os(path: Path) -> bool:
    return any(module == "os" or module.startswith("os.") for module, _ in imports_of(path))
