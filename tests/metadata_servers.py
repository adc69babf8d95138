"""Metadata servers on loopback that demand what the real ones do, and some that behave badly."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Address = tuple[str, int]
Answer = tuple[int, Mapping[str, str], bytes]
Script = Callable[[str, str, Mapping[str, str]], Answer]
"""Method, path and headers to status, headers and body."""

AZURE_TAG = "7783-7084-3265-9085-8269-3286-77"
FIRMWARE = {
    "ec2": {"sys_vendor": "Amazon EC2", "product_name": "trn2.48xlarge", "board_asset_tag": "i-0123456789abcdef0"},
    "xen": {"sys_vendor": "Amazon EC2", "product_name": "HVM domU"},
    "gce": {"sys_vendor": "Google", "product_name": "Google Compute Engine"},
    "azure": {"sys_vendor": "Microsoft Corporation", "product_name": "Virtual Machine", "chassis_asset_tag": AZURE_TAG},
    "hyper-v": {"sys_vendor": "Microsoft Corporation", "product_name": "Virtual Machine"},
    "chromebook": {"sys_vendor": "Google", "product_name": "Eve"},
    "qemu": {"sys_vendor": "QEMU", "product_name": "Standard PC"},
}

TOKEN = "AQAEAPnI5Zk-token=="
EC2 = {
    "instance-type": "trn2.48xlarge",
    "placement/region": "us-east-2",
    "instance-life-cycle": "capacity-block",
    "instance-id": "i-0123456789abcdef0",
    "placement/availability-zone-id": "use2-az1",
    "local-ipv4": "10.1.2.3",
}
GCE = {
    "machine-type": "projects/123456789012/machineTypes/a3-highgpu-8g",
    "zone": "projects/123456789012/zones/us-central1-a",
    "scheduling/preemptible": "FALSE",
    "attributes/": "secret",
}
AZURE = {
    "vmSize": "Standard_ND96isr_H200_v5",
    "location": "eastus2",
    "priority": "Spot",
    "subscriptionId": "8d10da13-8125-4ba9-a717-bf7490507b3d",
    "name": "mallory-vm",
    "tags": "owner:mallory",
    "customData": "c2VjcmV0",
    "publicKeys": [{"keyData": "ssh-rsa AAAA", "path": "/home/mallory/.ssh/authorized_keys"}],
}


def firmware(folder: Path, machine: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in FIRMWARE[machine].items():
        (folder / name).write_text(content + "\n")
    return folder


def ec2(values: Mapping[str, str] = EC2) -> Script:
    """IMDSv2: a token by PUT with a time to live, else 401; no such path, 404."""

    def answer(method: str, path: str, headers: Mapping[str, str]) -> Answer:
        if path == "/latest/api/token":
            lives = headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
            right = method == "PUT" and lives.isdecimal() and 1 <= int(lives) <= 21600
            return (200, {}, TOKEN.encode()) if right else (400, {}, b"")
        if method != "GET" or headers.get("X-aws-ec2-metadata-token") != TOKEN:
            return 401, {}, b""
        return _found(values, path.removeprefix("/latest/meta-data/"))

    return answer


def gce(values: Mapping[str, str] = GCE, flavor: str = "Google") -> Script:
    """Refuses whom the flavour header does not name, as it does not come from a browser that was led here."""

    def answer(method: str, path: str, headers: Mapping[str, str]) -> Answer:
        asked = method == "GET" and headers.get("Metadata-Flavor") == "Google"
        if not asked or headers.get("Host") not in ("metadata.google.internal", "169.254.169.254"):
            return 403, {}, b""
        status, _, body = _found(values, path.removeprefix("/computeMetadata/v1/instance/"))
        return status, {"Metadata-Flavor": flavor}, body

    return answer


def azure(content: object = AZURE) -> Script:
    def answer(method: str, path: str, headers: Mapping[str, str]) -> Answer:
        if method != "GET" or headers.get("Metadata") != "true" or "X-Forwarded-For" in headers:
            return 400, {}, b'{"error": "Bad request"}'
        right = path == "/metadata/instance/compute?api-version=2021-02-01"
        return (200, {"Content-Type": "application/json"}, json.dumps(content).encode()) if right else (404, {}, b"")

    return answer


def always(status: int, body: bytes = b"", **headers: str) -> Script:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda method, path, asked: (status, sent, body)


def _found(values: Mapping[str, str], name: str) -> Answer:
    return (200, {}, values[name].encode()) if name in values else (404, {}, b"")


@contextmanager
def serving(script: Script, asked: list[str] | None = None) -> Iterator[Address]:
    """A server that follows the script; the paths that it was asked for are added to ``asked``."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            if asked is not None:
                asked.append(self.path)
            status, headers, body = script(self.command, self.path, self.headers)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = _answer

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield "127.0.0.1", server.server_port
        finally:
            server.shutdown()


@contextmanager
def sending(pieces: Callable[[], Iterator[bytes]]) -> Iterator[Address]:
    """A server of raw bytes, to every connection the same: what ``pieces`` yields, one by one; then it closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()
        threading.Thread(target=_send_to_all, args=(listener, pieces, stop), daemon=True).start()
        try:
            yield listener.getsockname()[:2]
        finally:
            stop.set()


def _send_to_all(listener: socket.socket, pieces: Callable[[], Iterator[bytes]], stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_send, args=(connection, pieces, stop), daemon=True).start()


def _send(connection: socket.socket, pieces: Callable[[], Iterator[bytes]], stop: threading.Event) -> None:
    with connection:
        try:
            connection.recv(65536)
            for piece in pieces():
                if stop.is_set():
                    return
                connection.sendall(piece)
        except OSError:
            return


def closed_port() -> Address:
    """Where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return "127.0.0.1", listener.getsockname()[1]
