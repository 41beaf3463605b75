"""The outside world of a house for development: mails, text messages, checks of identity, a certificate authority.

One process beside the sandboxes. What the settings name already is left to it: nobody's own mail server is
replaced. Must never run in production mode; the process itself refuses it too.
"""

import sys
from collections.abc import Callable

import msgspec

from config.processes import free_port
from config.settings import Settings
from config.supervisor import ChildSpec
from engine.development.sms_sandbox import ACCOUNT, FROM_NUMBER, TOKEN
from gateway.cli.house_plan import HousePlan

NAME = "development"


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """Where it listens. The ports are chosen before it starts, so that others can be told at once."""

    port: int
    smtp_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def mail_page(self) -> str:
        return f"{self.url}/mail/"

    @property
    def text_page(self) -> str:
        return f"{self.url}/sms/"


def place_outside(first: int, check_free: Callable[[int], None]) -> Outside:
    """`first` and the port after it; 0: whichever are free. `check_free` raises ConfigError."""
    if not first:
        return Outside(port=free_port(), smtp_port=free_port())
    for port in (first, first + 1):
        check_free(port)
    return Outside(port=first, smtp_port=first + 1)


def outside_process(plan: HousePlan, outside: Outside) -> ChildSpec:
    command = (sys.executable, "-m", "engine.development", "--json", "--folder", str(plan.data_dir))
    ports = ("--port", str(outside.port), "--smtp-port", str(outside.smtp_port))
    return ChildSpec(name=NAME, command=(*command, *ports), env=plan.environment, stop_within_s=10.0)


def outside_environment(settings: Settings, outside: Outside) -> dict[str, str]:
    """What the gateway's processes are told; nothing about what is set up otherwise."""
    told: dict[str, str] = {}
    if not settings.mail.host:
        told |= {
            "COUNTERSIGN_MAIL_HOST": "127.0.0.1",
            "COUNTERSIGN_MAIL_PORT": str(outside.smtp_port),
            "COUNTERSIGN_MAIL_TLS": "none",
        }
    if not settings.sms.url:
        told |= {
            "COUNTERSIGN_SMS_URL": f"{outside.url}/sms",
            "COUNTERSIGN_SMS_ACCOUNT": ACCOUNT,
            "COUNTERSIGN_SMS_TOKEN": TOKEN,
            "COUNTERSIGN_SMS_FROM_NUMBER": FROM_NUMBER,
        }
    if not settings.sealing.tsa_urls:
        told["COUNTERSIGN_SEALING_TSA_URLS"] = f"{outside.url}/authority/tsa"
    if not settings.access.identity_url:
        told["COUNTERSIGN_ACCESS_IDENTITY_URL"] = f"{outside.url}/identity"
    return told
