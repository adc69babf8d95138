"""What is published names nobody: every kind of private thing is taken out, and what must stay exact stays."""

import json
import re
import socket
import time
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from builders import make_record
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from backends.registry import backend_entry_points
from bench.environment import CACHE_MARK, with_variables
from bench.privacy import EXACT, LONGEST_TEXT, Scrubber, scrubbed, scrubbed_record
from bench.private_shapes import MASK, looks_secret
from bench.private_values import ORDINARY, find_host_names, find_places, find_secrets, find_user_names
from bench.suite import suite_names
from results.record import Case, RunRecord
from workloads.catalog import catalog_names

ROOT = Path(__file__).parents[2]
NOBODY = Scrubber(secrets=[], users=[], hosts=[], places={})
"""Knows no machine: shapes only."""
SOMEBODY = Scrubber(
    secrets=["s3cr3t/value+=", "zanzibar"],
    users=["Alice Example", "alice"],
    hosts=["box-seven.corp.example", "box-seven"],
    places={"/srv/check out/fairchip": "<fairchip>", "/scratch/alice": "~", "/tmp": "<tmp>"},
)

PRIVATE_SHAPES = [
    ("HF_TOKEN=abc", "HF_TOKEN=<masked>"),
    ("my_password: 'two words' left", "my_password: <masked> left"),
    ('{"api_key": "abc", "loss": 5.5}', '{"api_key": <masked>, "loss": 5.5}'),
    ("db_pass = hunter2", "db_pass = <masked>"),
    ("AWS_ACCOUNT_ID=1234", "AWS_ACCOUNT_ID=<masked>"),
    ("login --auth-token abc --steps 5", "login --auth-token <masked> --steps 5"),
    ("Authorization: Basic dXNlcjpwYXNz==", "Authorization: <masked>"),
    ("Set-Cookie: a=b; c=d\nnext", "Set-Cookie: <masked>\nnext"),
    ("sent bearer abc.def-123", "sent bearer <masked>"),
    ("https://me:pass@host.org/x", "https://<masked>@host.org/x"),
    ("git+https://abcdef@host.org/x", "git+https://<masked>@host.org/x"),
    ("from s3://acme-models/run1", "from <masked>"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nok", "<masked>\nok"),
    ("-----BEGIN PRIVATE KEY-----\nMII and the pipe broke", "<masked>"),
    ("id AKIAIOSFODNN7EXAMPLE", "id <masked>"),
    ("id ASIAIOSFODNN7EXAMPLE.", "id <masked>."),
    ("hf_abcdefghijklmnopqrstuv", "<masked>"),
    ("ghp_abcdefghijklmnopqrst0123", "<masked>"),
    ("github_pat_11ABCDEFG0abcdefghij_xyz", "<masked>"),
    ("glpat-abcdefghij-0123456789", "<masked>"),
    ("sk-proj-abc123def456ghi789", "<masked>"),
    ("xoxb-123456789-abcdef", "<masked>"),
    ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "<masked>"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "<masked>"),
    ("role arn:aws:iam::123456789012:role/acme", "role <masked>"),
    ("account 123456789012 has no quota", "account <masked> has no quota"),
    ("account 1234-5678-9012", "account <masked>"),
    ("123456789012.dkr.ecr.us-east-1.amazonaws.com/x", "<masked>.dkr.ecr.us-east-1.amazonaws.com/x"),
    ("on i-0abcdef1234567890 in subnet-0a1b2c3d", "on <masked> in <masked>"),
    ("ip-10-0-12-34.ec2.internal: refused", "<host>: refused"),
    ("Serial Number : 1562720001234", "Serial Number : <masked>"),
    ("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "<uuid>"),
    ("CUDA_VISIBLE_DEVICES=GPU-8932f937", "CUDA_VISIBLE_DEVICES=<uuid>"),
    ("id 8932F937-d72c-4106-c12f-20bd9faed9f6.", "id <uuid>."),
    ("eth0 0a:1b:2c:3d:4e:5f up", "eth0 <mac> up"),
    ("mail alice.b+c@mail.example.org now", "mail <email> now"),
    ("connect to 10.0.12.34:29500", "connect to <address>:29500"),
    ("tcp://52.1.2.3/x", "tcp://<address>/x"),
    ("[2600:1f18:1234::5]:443 and fe80::1ff:fe23:4567:890a", "[<address>]:443 and <address>"),
    ("no /home/alice here", "no ~ here"),
    ("/Users/bob/acme/train.py", "~/train.py"),
    ('File "/opt/acme corp/lib/x y.py", line 3', 'File "<path>/x y.py", line 3'),
    ("/mnt/acme//data/x.bin: no such file", "<path>/x.bin: no such file"),
    ("PATH=/opt/acme/bin:/usr/local/bin", "PATH=<path>/bin:<path>/bin"),
    ("cc -I/opt/acme/include -c", "cc -I<path>/include -c"),
    ("file:///data/acme/x", "file://<path>/x"),
    ("said 'one\\n/data/acme/x'", "said 'one\\n<path>/x'"),
    ("\x1b[31mred\x1b[0m\x07", "red"),
]

NOT_PRIVATE = [
    "8192 tokens: 4,030 tokens/s, max_tokens=4096, flops_per_token: 5, pad_token_id=0",
    "Token indices sequence length is longer than the maximum",
    "tokenizer: fast; author: unknown; authentic=1; monkey=1; a key: 5; keyboard",
    "https://github.com/pytorch/pytorch/issues/1 and http://127.0.0.1:8080/x",
    "sk-learn, hf_config, task-1234567890123456789, xoxo, eyJ",
    "tried to allocate 137438953472 bytes on account of this",
    "i-th step, vol-1, multi-deadbeef-x",
    "version 12.4.5.8, nvidia-cublas-cu12==12.4.5.8, v1.2.3.4, libcudnn.so.9.1.0.70",
    "driver 580.65.06.01, 300.1.1.1, 1.2.3, 127.0.0.1, 0.0.0.0, ::1",
    "12:34:56, 2026-11-22T10:00:00.000+00:00, 0000:00:1e.0, x[::2], x[1::2], std::vector, c10::Error",
    "q @ k, decorator @x, git@main",
    "no Nvidia GPU: /dev has no nvidia device; /dev/nvidia0, /proc/meminfo, /sys/class/dmi/id",
    "and/or, km/h, ./a/b, ../a/b, a/b/c, x / y, ~",
    "serial execution, a serial number of runs",
    "3cbb0551a5bf" + "0" * 52,
    "AMD EPYC 7R13 (Milan), NVIDIA H100 80GB HBM3, Ubuntu 24.04.1 LTS, 6.8.0-1021-aws",
    "<cache>/inductor",
]


@pytest.mark.parametrize(("text", "shown"), PRIVATE_SHAPES, ids=[text[:30] for text, _ in PRIVATE_SHAPES])
def test_what_looks_private_is_replaced(text: str, shown: str) -> None:
    assert NOBODY.text(text) == shown


@pytest.mark.parametrize("text", NOT_PRIVATE)
def test_what_is_not_private_stays(text: str) -> None:
    assert NOBODY.text(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("got s3cr3t/value+= in xs3cr3t/value+=y", "got <masked> in x<masked>y"),
        ("zanzibar, but Zanzibars and zanzibars", "<masked>, but Zanzibars and zanzibars"),
        ("by Alice Example (alice), alice_model, malice", "by <user> (<user>), <user>_model, malice"),
        ("repr 'x\\nalice'", "repr 'x\\n<user>'"),
        ("box-seven.corp.example, box-seven.lan: box-sevenths", "<host>, <host>: box-sevenths"),
        ("/srv/check out/fairchip/bench/x.py", "<fairchip>/bench/x.py"),
        ("/scratch/alice/acme/x.py, /scratch/alice", "~/x.py, ~"),
        ("/tmp/acme/x.so /tmpfs /mnt/tmp/x", "<tmp>/x.so /tmpfs <path>/x"),
        ("100%\rdone", "100%\ndone"),
    ],
)
def test_what_this_machine_knows_is_replaced(text: str, shown: str) -> None:
    assert SOMEBODY.text(text) == shown


def test_a_traceback_stays_readable() -> None:
    text = '  File "/srv/check out/fairchip/bench/worker.py", line 90, in run\n    q @ k\nValueError: 5 tokens\n'
    assert SOMEBODY.text(text) == text.replace("/srv/check out/fairchip", "<fairchip>")


@pytest.mark.parametrize("name", ["HF_TOKEN", "WANDB_API_KEY", "PGPASSWORD", "db_pass", "SSH_KEY", "AUTH", "X_PRIVATE"])
def test_names_of_secrets(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize("name", ["MAX_TOKENS", "TOKENIZERS_PARALLELISM", "KEYBOARD", "AUTHOR", "kv_heads", "compass"])
def test_names_of_no_secret(name: str) -> None:
    assert not looks_secret(name)


def test_secrets_of_the_environment_and_of_the_firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sys/class/dmi/id").mkdir(parents=True)
    (tmp_path / "sys/class/dmi/id/product_serial").write_text("VMware-42 1f\n")
    (tmp_path / "sys/class/dmi/id/board_serial").write_text("To be filled by O.E.M.\n")
    monkeypatch.setenv("NEW_TOKEN", "disabled")
    monkeypatch.setenv("OLD_TOKEN", "short")
    monkeypatch.setenv("A_TOKEN", "long-enough-1")
    found = find_secrets(tmp_path)
    assert {"VMware-42 1f", "long-enough-1"} <= set(found)
    assert not {"To be filled by O.E.M.", "disabled", "short"} & set(found)


@pytest.mark.parametrize("name", ["ubuntu", "torch", "root", "cpu", "Debian", "smoke"])
def test_a_name_that_names_nobody_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", name)
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    assert name not in {*find_user_names(), *find_host_names()}
    text = f"Ubuntu 24.04, Debian GNU/Linux 12, {name}, {name}-cpu"
    assert Scrubber().text(text) == text


def test_words_that_fairchip_ships_are_ordinary() -> None:
    shipped = {word for name in (*catalog_names(), *suite_names(), *backend_entry_points()) for word in name.split("-")}
    assert {word for word in shipped if word.isalpha() and len(word) > 3} <= ORDINARY


def test_keys_and_names_of_a_record_are_ordinary() -> None:
    """A user called ``device`` must not cost a record its ``device_type``."""
    record = json.loads((ROOT / "tests/golden/record-v1.json").read_text())
    case, environment = record["case"], record["environment"]
    tables = (case["recipe"], record["measurement"]["session"], environment["packages"], environment["variables"])
    texts = [text for table in tables for item in table.items() for text in item if isinstance(text, str)]
    texts += [case["backend"], case["workload"], *case["flops_per_token"], *(gate["id"] for gate in record["gates"])]
    words = {word.lower() for text in texts for word in re.findall(r"[^\W\d_]{4,}", text)}
    assert words <= ORDINARY


def test_a_machine_without_account_home_or_working_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_account(*_: object) -> Any:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", no_account)
    for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert find_user_names() == []
    assert not {"~", "<here>"} & set(find_places().values())


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """A private thing of every kind, by what it is, on this machine."""
    home = tmp_path / "people" / "mallory"
    secrets = {
        "XY_TOKEN": "tok-98765", "XY_SECRET": "sec-98765", "XY_PASSWORD": "pwd-98765", "XY_PASSWD": "pwx-98765",
        "XY_API_KEY": "api-98765", "AWS_ACCESS_KEY_ID": "acc-98765", "XY_CREDENTIAL": "cred-98765",
        "XY_PRIVATE": "priv-98765", "XY_AUTH": "auth-98765", "XY_COOKIE": "cook-98765",
        "AWS_ACCOUNT_ID": "998877665544",
    }  # fmt: skip
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    for name in ("USER", "LOGNAME"):
        monkeypatch.setenv(name, "mallory")
    monkeypatch.setenv("SUDO_USER", "trudy-admin")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Mallory Munroe")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr(socket, "gethostname", lambda: "lab42.acme.example")
    monkeypatch.chdir(tmp_path)
    return secrets | {
        "user": "mallory", "sudo": "trudy-admin", "full name": "Mallory Munroe", "home": str(home), "host": "lab42",
        "domain": "acme.example", "here": str(tmp_path), "folder": "/data/acme-corp", "email": "mallory@acme.example",
        "address": "10.77.0.5", "mac": "0a:1b:2c:3d:4e:5f", "gpu": "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6",
        "instance": "i-0abcdef1234567890", "serial": "0324-5566-77", "account": "arn:aws:iam::123456789012:user/mm",
        "bearer": "abc.def.ghi-123", "other home": "/home/peggy",
    }  # fmt: skip


def test_a_record_holds_nothing_private(planted: dict[str, str]) -> None:
    record = _record_full_of(planted)
    before = record.model_dump_json()
    assert all(value in before for name, value in planted.items() if name not in ("domain", "here"))
    clean = scrubbed_record(record)
    text = clean.model_dump_json()
    left = {name: value for name, value in planted.items() if value in text}
    assert not left
    assert "peggy" not in text
    assert RunRecord.model_validate_json(text) == clean, "still a record"
    assert scrubbed_record(clean) == clean, "scrubbing twice changes nothing"


def test_the_mathematics_and_identifiers_of_a_record_stay_exact(planted: dict[str, str]) -> None:
    record = _record_full_of(planted)
    clean = scrubbed_record(record)
    assert json.dumps(clean.case.specification) == json.dumps(record.case.specification)
    assert (clean.run_id, clean.case.digest, clean.place) == (record.run_id, record.case.digest, record.place)
    assert clean.environment.packages == {"nvidia-cublas-cu12": "12.4.5.8", "torch": "2.13.0"}
    assert clean.environment.accelerator_driver == "neuron 2.19.64.0"
    assert clean.measurement is not None
    assert record.measurement is not None
    assert clean.measurement.windows == record.measurement.windows
    assert clean.measurement.session["runtime_version"] == "2.29.40.0"
    assert clean.measurement.session["driver_address"] == "<address>"
    assert clean.measurement.session["operand_fraction_bits"] == 23


def test_a_real_record_is_published_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "ubuntu")
    monkeypatch.setattr(socket, "gethostname", lambda: "torch")
    record = RunRecord.model_validate_json((ROOT / "tests/golden/record-v1.json").read_text())
    assert scrubbed_record(record) == record


def _record_full_of(planted: dict[str, str]) -> RunRecord:
    """A record with the private things in its reason, session, names, variables, evidence and standard error."""
    everything = "\n".join(_as_met(name, value) for name, value in planted.items())
    record = make_record(
        status="failed",
        reason=everything,
        stderr_tail=f'Traceback\n  File "{planted["home"]}/acme corp/x.py", line 1\n{everything}',
        case__workload=f"smoke+{planted['user']}",
        case__recipe={"name": everything, "environment": {"XY_TOKEN": planted["XY_TOKEN"], planted["user"]: "1"}},
        environment__operating_system=everything,
        environment__cpu_model=f"chip of {planted['host']}",
        environment__packages={"torch": "2.13.0", "nvidia-cublas-cu12": "12.4.5.8"},
        environment__accelerator_driver="neuron 2.19.64.0",
    )
    session = {planted["host"]: 1, "note": everything, "serial_key": planted["serial"], "account_id": 123456789012}
    session |= {"runtime_version": "2.29.40.0", "driver_address": "10.3.5.147", "operand_fraction_bits": 23}
    assert record.measurement is not None
    gate = record.gates[0].model_copy(update={"evidence": everything})
    return record.model_copy(
        update={
            "measurement": record.measurement.model_copy(update={"session": session}),
            "gates": (gate, *record.gates[1:]),
            "environment": with_variables(record.environment, {"XY_LIBRARY": planted["user"]}),
        }
    )


def _as_met(name: str, value: str) -> str:
    """A value as it turns up in a text: bare, except what only its surroundings tell."""
    told = {"serial": f"Serial Number: {value}", "bearer": f"Authorization: Bearer {value}", "folder": f"{value}/x/y"}
    return told.get(name, f"had {value}.")


def test_fields_that_are_not_scrubbed_can_hold_no_text() -> None:
    """And every field that allows only some texts is among them: scrubbing it could make the record invalid."""
    assert set(EXACT) >= set(_constrained(RunRecord, ""))
    free = {"case.specification", "environment.source_commit"}
    assert set(EXACT) - set(_constrained(RunRecord, "")) == free
    assert Case.model_fields.keys() >= {"specification"}


def _constrained(model: type[BaseModel], path: str) -> list[str]:
    """Dotted paths of the fields with a pattern or a fixed set of words."""
    found: list[str] = []
    for name, info in model.model_fields.items():
        where = f"{path}.{name}" if path else name
        patterned = any(getattr(item, "pattern", None) for item in info.metadata)
        for part in _parts(info.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                found += _constrained(part, where)
            patterned |= get_origin(part) is Literal and isinstance(get_args(part)[0], str)
        found += [where] if patterned else []
    return found


def _parts(annotation: Any) -> list[Any]:
    """A type and what it is made of: the members of unions and the items of tuples."""
    nested = get_args(annotation) if get_origin(annotation) in (Union, UnionType, tuple) else ()
    return [annotation, *(part for item in nested for part in _parts(item))]


def test_the_mark_of_the_caches_folder_stays() -> None:
    assert scrubbed(f"{CACHE_MARK}/inductor/x") == f"{CACHE_MARK}/inductor/x"


def test_only_the_end_of_a_long_text_is_kept_and_nothing_private_at_its_cut() -> None:
    text = "a@b.org " * LONGEST_TEXT + "the end"
    kept = SOMEBODY.tail(text)
    assert len(kept) <= LONGEST_TEXT
    assert kept.endswith("the end")
    assert "@" not in kept
    assert SOMEBODY.tail(kept) == kept


FRAGMENTS = [
    *(text for text, _ in PRIVATE_SHAPES), *NOT_PRIVATE, "alice", "box-seven", "s3cr3t/value+=", "zanzibar", "/tmp",
    "/srv/check out/fairchip", "/scratch/alice", "token", "=", ":", " ", "\n", "/", "//", "/a", "\"", "'", "@", ".",
    "-", "~", "<", ">", "<path>", "<user>", "<masked>", "account ", "123456789012", "serial", "bearer ", "--", "\\n",
    "\x1b[",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=300), st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join)))
def test_scrubbing_twice_changes_nothing(text: str) -> None:
    once = SOMEBODY.tail(text)
    assert SOMEBODY.tail(once) == once


@pytest.mark.parametrize("place", ["/srv/check out/fairchip", "/tmp", "/scratch/alice", "/tmp/scratch/alice"])
def test_places_without_a_gap_are_all_found_at_once(place: str) -> None:
    text = SOMEBODY.text(place * 100)
    assert re.fullmatch("(<[a-z]+>|~)+", text)
    assert text != MASK


def test_a_text_that_never_settles_is_masked_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scrubber, "_once", lambda self, text: text + "!")
    assert SOMEBODY.text("alice's secret") == MASK


HOSTILE = [
    "a", "a-", "a.", "1:", "1.", "/", "/a", "/a b", "\"/a/", "'/a/", "token", "token=\"", "account ", "--a", "://",
    "://a:", "eyJaaaaaaaaa.", "sk-a", "serial: ", "cookie=", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "arn:aws-",
    "ip-1-1-1-1.", "\x1b[0;", "\x1b", "alice.", "box-seven.", "~/a", "<path>/", "a@", "a@a.", "ff:", "deadbeef-",
    "bearer ", "\\n/a", "::",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_takes_more_than_linear_time(piece: str) -> None:
    """A pattern that is quadratic in its text would take minutes for these 200 kB."""
    text = (piece * 200_000)[:200_000]
    start = time.monotonic()
    SOMEBODY.text(text)
    assert time.monotonic() - start < 5


def test_a_megabyte_takes_seconds() -> None:
    text = ("".join(FRAGMENTS) * 1000)[:1_000_000]
    start = time.monotonic()
    assert len(scrubbed(text)) <= LONGEST_TEXT
    assert time.monotonic() - start < 20
