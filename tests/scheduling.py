"""Which worker runs what: the tests of a file stay together, and so do those of a folder that shares a slow server.

What they start once would otherwise be started once in each worker.
"""

from xdist.scheduler import LoadScopeScheduling

_TOGETHER = ("tests/webhooks/outbound/sinks/",)  # RabbitMQ takes seconds of both cores to start


class FilesTogether(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return next((folder for folder in _TOGETHER if file.startswith(folder)), file)
