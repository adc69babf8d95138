"""Where are we? Metadata servers that answer, refuse, hang, drip and lie; and no question asked off the cloud."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path

import pytest
from metadata_servers import (
    AZURE,
    EC2,
    GCE,
    TOKEN,
    Address,
    Script,
    always,
    azure,
    closed_port,
    ec2,
    firmware,
    gce,
    sending,
    serving,
)

from bench import instance
from bench.environment import read_environment
from bench.instance import detect_instance
from bench.privacy import Scrubber
from results.record import Instance

CLOUDS = ("ec2", "gce", "azure")
KNOWN = {"ec2": "trn2.48xlarge", "gce": None, "azure": None}
"""What the firmware alone tells."""

Detect = Callable[..., Instance]


@pytest.fixture
def detect(tmp_path: Path) -> Detect:
    """Detects the named machine with a server that follows the script, or one that is there already."""

    def call(machine: str, script: Script | Address, asked: list[str] | None = None) -> Instance:
        dmi = firmware(tmp_path / machine, machine)
        if isinstance(script, tuple):
            return detect_instance(dmi, script)
        with serving(script, asked) as address:
            return detect_instance(dmi, address)

    return call


def facts(found: Instance) -> tuple[str | None, ...]:
    return found.provider, found.name, found.region, found.purchase_model


def require_only_firmware(found: Instance, machine: str) -> None:
    assert facts(found)[1:] == (KNOWN[machine], None, None)
    assert found.provider is not None
    assert "; " in found.source, "why the rest is unknown"


def test_ec2(detect: Detect) -> None:
    found = detect("ec2", ec2())
    assert facts(found) == ("aws", "trn2.48xlarge", "us-east-2", "capacity-block")
    assert found.source == "DMI product_name; IMDSv2"


def test_ec2_whose_firmware_does_not_name_the_type(detect: Detect) -> None:
    assert detect("xen", ec2()).name == "trn2.48xlarge"


def test_the_firmwares_type_stands(detect: Detect) -> None:
    assert detect("ec2", ec2({**EC2, "instance-type": "m5.large"})).name == "trn2.48xlarge"


@pytest.mark.parametrize(
    ("life_cycle", "model"),
    [
        ("on-demand", "on-demand"),
        ("spot", "spot"),
        ("capacity-block", "capacity-block"),
        ("scheduled", None),
        ("interruptible-capacity-reservation", None),
        ("something-new", None),
    ],
)
def test_life_cycles_of_ec2(detect: Detect, life_cycle: str, model: str | None) -> None:
    found = detect("ec2", ec2({**EC2, "instance-life-cycle": life_cycle}))
    assert (found.region, found.purchase_model) == ("us-east-2", model)
    assert (life_cycle in found.source) == (model is None), "kept as text"


@pytest.mark.parametrize("missing", ["placement/region", "instance-life-cycle"])
def test_what_the_server_lacks_is_unknown_and_the_rest_is_not(detect: Detect, missing: str) -> None:
    found = detect("ec2", ec2({name: value for name, value in EC2.items() if name != missing}))
    assert (found.region is None) == (missing == "placement/region")
    assert (found.purchase_model is None) == (missing == "instance-life-cycle")
    assert f"no {missing}: status 404" in found.source


def test_the_stand_in_demands_a_token() -> None:
    script = ec2()
    assert script("GET", "/latest/meta-data/instance-type", {})[0] == 401
    assert script("PUT", "/latest/api/token", {})[0] == 400
    assert gce()("GET", "/computeMetadata/v1/instance/zone", {})[0] == 403
    assert azure()("GET", "/metadata/instance/compute?api-version=2021-02-01", {})[0] == 400


@pytest.mark.parametrize(("preemptible", "model"), [("FALSE", "on-demand"), ("TRUE", "spot"), ("maybe", None)])
def test_gce(detect: Detect, preemptible: str, model: str | None) -> None:
    found = detect("gce", gce({**GCE, "scheduling/preemptible": preemptible}))
    assert facts(found) == ("gcp", "a3-highgpu-8g", "us-central1", model)


@pytest.mark.parametrize("flavor", ["", "google", "Amazon"])
def test_another_flavor_is_no_gce(detect: Detect, flavor: str) -> None:
    require_only_firmware(detect("gce", gce(flavor=flavor)), "gce")


@pytest.mark.parametrize(("priority", "model"), [("Spot", "spot"), ("Regular", "on-demand"), ("", None), (None, None)])
def test_azure(detect: Detect, priority: str | None, model: str | None) -> None:
    found = detect("azure", azure({**AZURE, "priority": priority}))
    assert facts(found) == ("azure", "Standard_ND96isr_H200_v5", "eastus2", model)


@pytest.mark.parametrize("content", [[], 1, "text", None, {"vmSize": ["Standard_D8s_v6"], "location": {}}])
def test_other_json_is_no_azure(detect: Detect, content: object) -> None:
    require_only_firmware(detect("azure", azure(content)), "azure")


PRIVATE = (
    "i-0123",
    "use2-az1",
    "10.1.2.3",
    TOKEN,
    "123456789012",
    "us-central1-a",
    "secret",
    "mallory",
    "8d10",
    "AAAA",
)


@pytest.mark.parametrize(("machine", "script"), [("ec2", ec2()), ("gce", gce()), ("azure", azure())])
def test_nothing_else_is_asked_for_or_kept(detect: Detect, machine: str, script: Script) -> None:
    asked: list[str] = []
    found = detect(machine, script, asked).model_dump_json()
    assert len(asked) == {"ec2": 4, "gce": 3, "azure": 1}[machine]
    for private in PRIVATE:
        assert private not in found
    assert not any(word in path for path in asked for word in ("identity", "attributes", "instance-id", "zone-id"))
    assert Scrubber().content(Instance.model_validate_json(found), "environment.instance").model_dump_json() == found


PAGE = b"<html><body>Please log in: Standard_D8s_v6 us-east-1 trn2.3xlarge</body></html>"
WRONG = {
    "forbidden": always(403),
    "unauthorised": always(401),
    "disabled": always(404),
    "broken": always(500, b"on-demand"),
    "captive portal": always(200, PAGE, Content_Type="text/html", Metadata_Flavor="Google"),
    "empty": always(200, b"", Metadata_Flavor="Google"),
    "no text": always(200, b"\xff\xfe\x00", Metadata_Flavor="Google"),
    "deep": always(200, b"[" * 60_000, Metadata_Flavor="Google"),
    "cut short": always(200, json.dumps(AZURE).encode(), Content_Length="2000", Metadata_Flavor="Google"),
    "not a length": always(200, b"x", Content_Length="-9", Metadata_Flavor="Google"),
}


@pytest.mark.parametrize("machine", CLOUDS)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_server_that_refuses_or_talks_nonsense(detect: Detect, machine: str, wrong: str) -> None:
    require_only_firmware(detect(machine, WRONG[wrong]), machine)


def test_a_token_is_not_all_that_may_be_refused(detect: Detect) -> None:
    def only_token(method: str, path: str, headers: object) -> tuple[int, dict[str, str], bytes]:
        return (200, {}, TOKEN.encode()) if method == "PUT" else (401, {}, b"")

    found = detect("ec2", only_token)
    require_only_firmware(found, "ec2")
    assert "status 401" in found.source


@pytest.mark.parametrize(
    "value", ["<b>us-east-1</b>", "us-east-1a", "us-east-1\nus-east-2", "use1-az4", "i-0123456789abcdef0", "x" * 300]
)
def test_a_region_looks_like_one(detect: Detect, value: str) -> None:
    found = detect("ec2", ec2({**EC2, "placement/region": value, "instance-life-cycle": value}))
    assert (found.region, found.purchase_model) == (None, None)
    assert value not in found.source


@pytest.mark.parametrize(("machine", "script"), [("ec2", ec2()), ("gce", gce()), ("azure", azure())])
def test_a_redirect_is_not_followed(detect: Detect, machine: str, script: Script) -> None:
    with serving(script) as (host, port):

        def elsewhere(method: str, path: str, headers: object) -> tuple[int, dict[str, str], bytes]:
            return 307, {"Location": f"http://{host}:{port}{path}"}, b""

        found = detect(machine, elsewhere)
    require_only_firmware(found, machine)
    assert "status 307" in found.source


def drip() -> Iterator[bytes]:
    """A right answer, a byte every fifth of a second."""
    for byte in b"HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nContent-Length: 9\r\n\r\nus-east-1":
        time.sleep(0.2)
        yield bytes([byte])


def silence() -> Iterator[bytes]:
    time.sleep(5)
    yield b""


def go_on() -> Iterator[bytes]:
    """Interim answers without an end."""
    for _ in range(400):
        time.sleep(0.01)
        yield b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize("machine", CLOUDS)
@pytest.mark.parametrize("pieces", [drip, silence, go_on])
def test_the_deadline_is_for_everything_together(
    detect: Detect, machine: str, pieces: Callable[[], Iterator[bytes]]
) -> None:
    with sending(pieces) as address:
        start = time.monotonic()
        found = detect(machine, address)
        assert 0.9 < time.monotonic() - start < 1.6
    require_only_firmware(found, machine)
    assert "no answer in time" in found.source


def test_the_deadline_is_for_all_questions_together(detect: Detect) -> None:
    """Each answer alone comes soon enough."""
    right = ec2()

    def slow(method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.4)
        return right(method, path, headers)

    start = time.monotonic()
    found = detect("ec2", slow)
    assert time.monotonic() - start < 1.6
    assert facts(found)[1:] == ("trn2.48xlarge", None, None)
    assert found.source.endswith("instance-life-cycle: no answer in time"), "the last was not even asked"


HEAD = b"HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\n"


@pytest.mark.parametrize("machine", CLOUDS)
@pytest.mark.parametrize(
    ("begin", "again"),
    [
        (HEAD + b"\r\n", b" " * 8192),
        (HEAD + b"Content-Length: 999999999999999\r\n\r\n", b" " * 8192),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"2000\r\n" + b" " * 8192 + b"\r\n"),
        (HEAD, b"X: " + b"y" * 8000 + b"\r\n"),
        (b"", b"\0" * 8192),
        (b"SSH-2.0-OpenSSH_9.6\r\n", b""),
    ],
    ids=["body", "length", "chunks", "headers", "one line", "another protocol"],
)
def test_a_huge_answer_or_none_of_http_ends_soon(detect: Detect, machine: str, begin: bytes, again: bytes) -> None:
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        yield begin
        for piece in repeat(again, 5000 if again else 0):
            sent += len(piece)
            yield piece

    with sending(pieces) as address:
        start = time.monotonic()
        require_only_firmware(detect(machine, address), machine)
        assert time.monotonic() - start < 1.6
    assert sent < 20e6, "it was not read to the end"


@pytest.mark.parametrize(
    ("machine", "right"), [("ec2", b"on-demand"), ("gce", b"TRUE"), ("azure", json.dumps(AZURE).encode())]
)
def test_a_right_answer_with_too_much_after_it_is_none(detect: Detect, machine: str, right: bytes) -> None:
    def pieces() -> Iterator[bytes]:
        yield HEAD + b"\r\n" + right + b" " * 100_000

    with sending(pieces) as address:
        found = detect(machine, address)
    require_only_firmware(found, machine)
    assert "over 65536 bytes" in found.source


def quickest(call: Callable[[], Instance]) -> tuple[float, Instance]:
    """The least seconds of three calls, beside whatever else runs, and the last answer."""
    seconds = []
    for _ in range(3):
        start = time.monotonic()
        found = call()
        seconds.append(time.monotonic() - start)
    return min(seconds), found


@pytest.mark.parametrize("machine", CLOUDS)
def test_where_nothing_listens_the_firmware_stands(detect: Detect, machine: str) -> None:
    seconds, found = quickest(lambda: detect(machine, closed_port()))
    assert seconds < 0.2
    require_only_firmware(found, machine)
    assert "connection refused" in found.source


@pytest.fixture
def no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "__init__", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("no_socket")
@pytest.mark.parametrize("machine", ["hyper-v", "chromebook", "qemu"])
def test_off_the_cloud_nobody_is_asked(detect: Detect, machine: str) -> None:
    seconds, found = quickest(lambda: detect(machine, ("192.0.2.1", 80)))
    assert seconds < 0.05
    assert facts(found) == (None, None, None, None)
    assert ("Hyper-V, not Azure" in found.source) == (machine == "hyper-v")


@pytest.mark.usefixtures("no_socket")
def test_another_machines_tables_are_not_this_machines_server(tmp_path: Path) -> None:
    assert detect_instance(firmware(tmp_path / "ec2", "ec2")).name == "trn2.48xlarge"
    assert detect_instance(tmp_path / "none").provider is None


def test_the_guard_against_sockets_works(no_socket: None, detect: Detect) -> None:
    with pytest.raises(AssertionError, match="socket"):
        detect("ec2", ("192.0.2.1", 80))


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_a_proxy_is_not_used(detect: Detect, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://{}:{}".format(*closed_port()))
    monkeypatch.delenv("no_proxy", raising=False)
    assert detect("ec2", ec2()).region == "us-east-2"


def test_this_machine_is_looked_at_once_a_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The real tables and address, moved: the second call must not ask again."""
    asked: list[str] = []
    with serving(ec2(), asked) as address:
        monkeypatch.setattr(instance, "_DMI", firmware(tmp_path / "dmi", "ec2"))
        monkeypatch.setattr(instance, "_METADATA_SERVER", address)
        instance._this_machine.cache_clear()
        try:
            first = detect_instance(instance._DMI)
            assert detect_instance(instance._DMI) is first
        finally:
            instance._this_machine.cache_clear()
    assert first.region == "us-east-2"
    assert len(asked) == 4


def test_the_environment_has_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    rented = Instance(provider="aws", name="trn2.3xlarge", source="test", region="us-east-2", purchase_model="spot")
    monkeypatch.setattr("bench.environment.detect_instance", lambda dmi: rented)
    assert read_environment().instance == rented
