"""Which worker runs what: the tests of a file stay together, and so do those of a folder that shares a slow server.

What they start once would otherwise be started once in each worker.
"""

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

_TOGETHER = ("tests/webhooks/outbound/sinks/",)  # RabbitMQ takes seconds of both cores to start


class FilesTogether(LoadScopeScheduling):
    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """Forgets a file that is done: xdist would count through all that ever was, after every test."""
        super().mark_test_complete(node, item_index, duration)
        work = self.assigned_work[node]
        file = self._split_scope(self.registered_collections[node][item_index])
        if all(work[file].values()):
            del work[file]

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return next((folder for folder in _TOGETHER if file.startswith(folder)), file)
