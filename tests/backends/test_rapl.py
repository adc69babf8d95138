"""A processor's energy counters, from a made-up tree of the kernel's."""

from pathlib import Path

import pytest

from backends import rapl


def zone(root: Path, number: str, name: str, microjoules: int, span: int = 262_143_328_850) -> Path:
    folder = root / "sys/class/powercap" / number
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text(f"{span}\n")
    return folder


def test_whole_packages_are_counted_once(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    zone(tmp_path, "intel-rapl:1", "package-1", 7_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 1_000_000)
    zone(tmp_path, "intel-rapl:2", "psys", 90_000_000)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 5_000_000)
    told = {sampler.name: sampler.read() for sampler in rapl.samplers(tmp_path)}
    assert told == {"rapl-0": {"energy_joules": 5.0}, "rapl-1": {"energy_joules": 7.0}}


def test_a_counter_that_begins_again_is_carried_on(tmp_path: Path) -> None:
    folder = zone(tmp_path, "intel-rapl:0", "package-0", 9_000_000, span=10_000_000)
    (sampler,) = rapl.samplers(tmp_path)
    readings = []
    for microjoules in (9_000_000, 9_500_000, 1_000_000, 6_000_000, 2_000_000):
        (folder / "energy_uj").write_text(str(microjoules))
        readings.append(sampler.read()["energy_joules"])
    assert readings == [9.0, 9.5, 11.0, 16.0, 22.0]


@pytest.mark.parametrize("content", ["", "many", "1.5"])
def test_a_counter_that_is_no_number_is_none_with_a_reason(tmp_path: Path, content: str) -> None:
    (zone(tmp_path, "intel-rapl:0", "package-0", 1) / "energy_uj").write_text(content)
    (told,) = [sampler.read() for sampler in rapl.samplers(tmp_path)]
    assert told["energy_joules"] is None
    assert "RAPL" in str(told["missing"])


def test_a_counter_for_root_alone_says_how_to_open_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 1)
    read = Path.read_text

    def refuse(path: Path, **settings: str) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return read(path, **settings)

    (sampler,) = rapl.samplers(tmp_path)
    monkeypatch.setattr(Path, "read_text", refuse)
    assert "chmod a+r" in str(sampler.read()["missing"])


def test_no_counter_at_all_has_its_reason(tmp_path: Path) -> None:
    (sampler,) = rapl.samplers(tmp_path)
    assert sampler.read() == {
        "energy_joules": None,
        "missing": "energy_joules: the kernel shows no RAPL of this processor",
    }
    sampler.close()
