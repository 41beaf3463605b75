"""A real RabbitMQ on 127.0.0.1, in a folder of its own, with a name server of its own: nothing of it stays."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from config.processes import free_port, spawn, stop, wait_until

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
USER, PASSWORD = "guest", "guest"


class Rabbit:
    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="countersign-rabbit-"))
        self.port = free_port()
        self._names = free_port()
        self._children: list[subprocess.Popen] = []

    @staticmethod
    def is_installed() -> bool:
        return SERVER.exists() and shutil.which("epmd") is not None

    def start(self) -> None:
        (self.folder / "rabbitmq.conf").write_text(
            "log.console = false\nlog.file.level = warning\n"
            "vm_memory_high_watermark.absolute = 512MB\ndisk_free_limit.absolute = 1MB\n"
        )
        (self.folder / "plugins").write_text("[].")
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"tests{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "generated"),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
        }
        with open(self.folder / "out", "wb") as log:
            epmd = ["epmd", "-port", str(self._names), "-address", "127.0.0.1"]
            self._children = [spawn(epmd, env=env, log=log), spawn([str(SERVER)], env=env, log=log)]
        if not wait_until(self._answers, self._children[1], within_s=60):
            raise AssertionError(f"RabbitMQ does not start: {(self.folder / 'out').read_text()}")

    def stop(self) -> None:
        for child in reversed(self._children):
            stop(child, ask=signal.SIGTERM, within_s=20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as link:
                link.settimeout(2)
                link.sendall(b"AMQP\x00\x00\x09\x01")
                return link.recv(1) == b"\x01"  # the first frame: the broker really talks
        except OSError:
            return False
