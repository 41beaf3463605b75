"""deploy/compose.yaml by its structure: what runs, as whom, with which settings, and that nothing has a default secret."""

import re
from typing import Any

import pytest
import yaml

from config.errors import ConfigError
from config.settings import ENVIRONMENT_PREFIXES
from config.settings_source import load_settings, section_fields, variable_name
from gateway.cli.main import _parser
from tests.docs.test_commands import _choices
from tests.house.tree import ROOT

COMPOSE = ROOT / "deploy" / "compose.yaml"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
OURS = ("gateway", "deliverer", "worker", "scheduler", "migrate")
STORES = ("postgres", "valkey", "minio")
JOBS = ("migrate", "bucket", "volume")
SECRETS = re.compile(r"PASSWORD|SECRET|TOKEN|ROOT_USER|_KEY_PATH")
# Of services outside that an installation may do without: left empty, the setting is not there at all.
OPTIONAL = {
    (name, ":-")
    for name in (
        "COUNTERSIGN_MAIL_PASSWORD",
        "COUNTERSIGN_SMS_TOKEN",
        "COUNTERSIGN_SEALING_TSA_PASSWORD",
    )
}
INTERNAL_ENGINE = {
    "SIGNATURE_DEFAULT_PROVIDER": "internal",
    "COUNTERSIGN_MAIL_HOST": "smtp.example.com",
    "COUNTERSIGN_MAIL_USERNAME": "countersign",
    "COUNTERSIGN_MAIL_PASSWORD": "0f1e2d3c4b5a6978",
    "COUNTERSIGN_MAIL_FROM_ADDRESS": "sign@example.com",
    "COUNTERSIGN_SEALING_TSA_URLS": "https://tsa.example.com/a,https://tsa.example.org/b",
}
FILLED = {
    "COUNTERSIGN_PUBLIC_BASE_URL": "https://sign.example.com",
    "COUNTERSIGN_MASTER_KEY_PATH": "/etc/countersign/master-key",
    "MINIO_ROOT_USER": "0a1b2c3d4e5f6071",
    **{
        f"{name}_PASSWORD": f"{number:048x}"
        for number, name in enumerate(
            ("POSTGRES", "POSTGRES_OWNER", "POSTGRES_APP", "POSTGRES_HUB", "VALKEY", "MINIO_ROOT"), 0xABCDEF
        )
    },
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))


def test_every_process_and_store_is_a_service(compose: dict[str, Any]):
    assert set(compose["services"]) == {*OURS, *STORES, *JOBS}


@pytest.mark.parametrize("name", OURS)
def test_command_of_a_service_is_one_of_ours(compose: dict[str, Any], name: str):
    command = compose["services"][name]["command"]
    options = _parser().parse_args(command)
    assert command[0] == ("serve" if name == "gateway" else name)
    assert options.command


@pytest.mark.parametrize("name", [*OURS, *STORES, "bucket"])
def test_service_has_a_read_only_root_no_rights_and_a_user(compose: dict[str, Any], name: str):
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert any(mount.startswith("/tmp:") for mount in service["tmpfs"])
    assert not service.get("privileged")


def test_container_that_runs_as_root_can_change_an_owner_and_nothing_else(compose: dict[str, Any]):
    service = compose["services"]["volume"]
    assert (service["cap_drop"], service["cap_add"]) == (["ALL"], ["CHOWN"])
    assert (service["read_only"], service["network_mode"], service["entrypoint"]) == (True, "none", ["chown"])
    assert not any("cap_add" in one for name, one in compose["services"].items() if name != "volume")


@pytest.mark.parametrize("name", sorted({*OURS, *STORES, *JOBS}))
def test_service_that_stays_has_a_health_check(compose: dict[str, Any], name: str):
    check = compose["services"][name]["healthcheck"]
    if name in JOBS:
        assert check == {"disable": True}
        assert compose["services"][name]["restart"] == "no"
    else:
        assert check["test"][0] == "CMD"
        assert {"interval", "timeout", "retries", "start_period"} <= set(check)
        if check["test"][1] == "countersign":
            assert check["test"][2] in _choices(_parser())


@pytest.mark.parametrize("name", [*STORES, "bucket", "volume"])
def test_image_of_a_store_is_pinned_to_a_full_version(compose: dict[str, Any], name: str):
    image = compose["services"][name]["image"]
    assert re.fullmatch(r"[a-z/]+:(\d+\.\d+(\.\d+)?-[a-z]+|RELEASE\.[\dTZ-]+)", image)


def test_only_the_api_is_published_and_on_loopback(compose: dict[str, Any]):
    published = {
        name: service["ports"] for name, service in compose["services"].items() if "ports" in service
    }
    assert published == {"gateway": ["127.0.0.1:8400:8400"]}


def test_stores_have_no_way_out(compose: dict[str, Any]):
    assert compose["networks"]["inside"] == {"internal": True}
    assert all(compose["services"][name]["networks"] == ["inside"] for name in (*STORES, "migrate", "bucket"))


@pytest.mark.parametrize("name", OURS)
def test_variables_of_our_services_are_known_settings(compose: dict[str, Any], name: str):
    known = {
        variable_name(section, one) for section in ENVIRONMENT_PREFIXES for one in section_fields(section)
    }
    given = {one for one in compose["services"][name]["environment"] if not one.startswith("AWS_")}
    assert given - known == set()


def test_settings_of_our_services_are_accepted_in_production(compose: dict[str, Any]):
    settings = load_settings(environ=_environment(compose, FILLED))
    assert settings.is_production
    assert settings.mail.host is None
    assert settings.spool.folder is not None


def test_internal_engine_in_production_has_its_mail_server_and_timestamps(compose: dict[str, Any]):
    settings = load_settings(environ=_environment(compose, FILLED | INTERNAL_ENGINE))
    assert (settings.mail.host, settings.mail.from_address) == ("smtp.example.com", "sign@example.com")
    assert settings.sealing.tsa_urls == ("https://tsa.example.com/a", "https://tsa.example.org/b")


@pytest.mark.parametrize("missing", ["COUNTERSIGN_MAIL_HOST", "COUNTERSIGN_SEALING_TSA_URLS"])
def test_internal_engine_in_production_without_a_service_it_needs_is_refused(
    compose: dict[str, Any], missing: str
):
    with pytest.raises(ConfigError, match="internal engine"):
        load_settings(environ=_environment(compose, FILLED | INTERNAL_ENGINE | {missing: ""}))


def test_no_service_of_development_runs(compose: dict[str, Any]):
    commands = [str(service.get("command", "")) for service in compose["services"].values()]
    assert not any("development" in command or "sandbox" in command for command in commands)


@pytest.mark.parametrize("name", OURS)
def test_what_a_service_may_write_outlives_it_only_in_the_spool(compose: dict[str, Any], name: str):
    service = compose["services"][name]
    folder = service["environment"]["COUNTERSIGN_SPOOL_FOLDER"]
    assert service["volumes"] == [f"spool:{folder}"]
    made = re.search(r"install --directory --owner (\d+) --group (\d+) --mode 0700 (\S+)", DOCKERFILE)
    assert made is not None
    assert made.groups() == (*service["user"].split(":"), folder)


def test_no_secret_has_a_default(compose: dict[str, Any]):
    text = COMPOSE.read_text(encoding="utf-8")
    variables = re.findall(r"(?<!\$)\$\{([A-Z_]+)([^}]*)\}", text)
    loose = [
        name
        for name, rest in variables
        if SECRETS.search(name) and not rest.startswith(":?") and (name, rest) not in OPTIONAL
    ]
    assert variables
    assert loose == []
    assert not re.search(r"(?i)password: *[\"']?\w", text)


def test_stores_are_ready_and_the_database_migrated_before_anything_serves(compose: dict[str, Any]):
    services = compose["services"]
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for name in ("gateway", "deliverer", "worker", "scheduler"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
        assert services[name]["depends_on"]["valkey"]["condition"] == "service_healthy"


def test_guide_sets_every_variable_that_has_no_default():
    guide = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    names = re.search(r"for name in ([A-Z_ ]+);", guide)
    assert names is not None
    told = {f"{name}_PASSWORD" for name in names[1].split()} | set(re.findall(r'echo "([A-Z_]+)=', guide))
    needed = set(re.findall(r"\$\{([A-Z_]+):\?", COMPOSE.read_text(encoding="utf-8")))
    assert told == needed


def _environment(compose: dict[str, Any], given: dict[str, str]) -> dict[str, str]:
    """What the gateway's container is started with, but for the object store's own variables."""
    return {
        one: re.sub(r"\$\{([A-Z_]+)[^}]*\}", lambda found: given.get(found[1], ""), str(value))
        for one, value in compose["services"]["gateway"]["environment"].items()
        if not one.startswith("AWS_")
    }
