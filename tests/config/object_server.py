"""An S3 server of a test's own that can be killed and started again; what it holds survives that."""

from threading import Thread

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from config.processes import free_port

CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
BUCKET = "spooled"
_LISTEN_S = 0.02  # how soon it sees that it is to end; moto's own server takes half a second


class ObjectServer:
    """Not running until it is started."""

    def __init__(self) -> None:
        self.port = free_port()
        self._server: BaseWSGIServer | None = None
        self._thread: Thread | None = None
        self._is_emptied = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", self.port, app, threaded=True, request_handler=MotoRequestHandler
        )
        self._thread = Thread(target=self._server.serve_forever, args=(_LISTEN_S,), daemon=True)
        self._thread.start()
        self._client().create_bucket(Bucket=BUCKET)
        if not self._is_emptied:  # of another test's objects: they are the process's, not the server's
            for key in self.held():
                self._client().delete_object(Bucket=BUCKET, Key=key)
            self._is_emptied = True

    def kill(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server = self._thread = None

    def held(self) -> list[str]:
        listing = self._client().list_objects_v2(Bucket=BUCKET)
        return [entry["Key"] for entry in listing.get("Contents", [])]

    def _client(self):
        return boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", **CREDENTIALS)
