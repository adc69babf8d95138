"""What people publish names nobody: secrets planted everywhere are in no record, no log and no report."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from reliability.workshop import install_plugin

PLANTED = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "FwoGZXIvYXdzEBYaDKz0example",
    "AWS_ACCOUNT_ID": "739104826655",
    "HF_TOKEN": "hf_QwErTyUiOpAsDfGhJkLzXcVbNm",
    "GITHUB_TOKEN": "ghp_1234567890abcdefghijABCDEFGHIJ123456",
    "WANDB_API_KEY": "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "OPENAI_API_KEY": "sk-proj-abcdefghijklmnopqrstuvwx",
    "DATABASE_PASSWORD": "correct-horse-battery",
    "XLA_FLAGS": "--xla_dump_to=/home/grace.hopper/dumps",
    "TORCH_LOGS_OUT": "/home/grace.hopper/logs/torch.log",
    "NEURON_CC_FLAGS": "--cache_dir=s3://acme-secret-bucket/cache --owner=grace.hopper@acme.example",
    "HOSTNAME": "ssh-host.internal.acme.example",
    "USER": "grace.hopper",
    "LOGNAME": "grace.hopper",
    "SUDO_USER": "katherine.johnson",
}

IN_TEXT = (
    "arn:aws:iam::739104826655:role/Trainer", "i-0abc123def4567890", "grace.hopper@acme.example", "10.11.12.13",
    "02:42:ac:11:00:02", "GPU-3f2a1b4c-5d6e-7f80-91a2-b3c4d5e6f708",
    "https://grace:hunter2secret@proxy.example:8080", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc123",
    "/home/katherine.johnson/models/llama.bin", "/Users/grace.hopper/x.py", "ssh-host.internal.acme.example",
)  # fmt: skip

NEVER = (
    "AKIAIOSFODNN7", "wJalrXUtnFEMI", "FwoGZXIvYXdz", "739104826655", "hf_QwErTy", "ghp_123456", "0a1b2c3d4e5f6071",
    "sk-proj-", "correct-horse", "grace.hopper", "katherine.johnson", "acme.example", "i-0abc123def", "10.11.12.13",
    "02:42:ac:11", "3f2a1b4c", "SN-1654321098765", "hunter2secret", "eyJhbGciOiJIUzI1NiJ9",
)  # fmt: skip

SOURCE = """
import os, sys
from backends.contract import Availability
from backends.fake import FakeBackend, FakeSession, Script

TOLD = " | ".join([*os.environ.values(), *{texts!r}, "serial number: SN-1654321098765"])

class Mine(FakeBackend):
    name = "mine"
    def environment(self, recipe, cache):
        own = {{"JAX_COMPILATION_CACHE_DIR": str(cache), "NCCL_TOPO_FILE": "/home/grace.hopper/t"}}
        return {{**recipe.environment, **own}}
    def open(self, workload, recipe, rank):
        print(TOLD, file=sys.stderr)
        if recipe.environment.get("FAILS"):
            raise RuntimeError(TOLD)
        told = {{"device_name": TOLD[:300], "kernels": os.environ["HF_TOKEN"], "flags": os.environ["XLA_FLAGS"]}}
        return FakeSession(Script(step_seconds=lambda step: 0.001, description=told))

class Absent(FakeBackend):
    name = "absent"
    def probe(self):
        return Availability(available=False, device_type="fake", reason="no " + os.environ["HF_TOKEN"], fix=TOLD)
"""


@pytest.mark.parametrize("fails", ["", "yes"], ids=["a run that is well", "a run that fails"])
def test_no_record_log_or_report_names_anybody(fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home" / "grace.hopper"
    home.mkdir(parents=True)
    install_plugin(home / "site", SOURCE.format(texts=IN_TEXT), monkeypatch)
    (home / "grace.hopper.toml").write_text(f'[environment]\nFAILS = "{fails}"\nMY_TOKEN = "hf_QwErTyUiOpAsDfGhJkLz"\n')
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bench", "run", "--workload", "smoke", "--backend", "mine", "absent",
         "--recipe", str(home / "grace.hopper.toml"), "--runs", "1", "--windows", "1", "--out", "records"],
        cwd=home, env=os.environ | PLANTED | {"HOME": str(home)}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode in (0, 3), done.stderr
    published = {path.name: path.read_text() for path in (home / "records").glob("*.*") if path.is_file()}
    assert "report.md" in published
    assert len([name for name in published if name.endswith(".json")]) == 4
    published |= {"the log": done.stderr, "the report": done.stdout}
    for name, text in published.items():
        for secret in (*NEVER, str(tmp_path)):
            assert secret not in text, f"{secret} in {name}"
