"""Made-up records of two rented machines, for pages and tests that show what prices do to one ratio of speeds."""

from pathlib import Path

from made_up_cases import case

from results.store import save

MACHINES = (("P5", "p5.48xlarge", "torch-cuda", 4000.0, "9"), ("TRN1", "trn1.32xlarge", "torch-neuron", 1000.0, "8"))


def lay_out_two_machines(folder: Path) -> None:
    """``P5`` makes four times the tokens of ``TRN1``: made up, and no statement about either."""
    for name, instance, backend, speed, digit in MACHINES:
        rented = {"provider": "aws", "name": instance, "source": "made up"}
        for record in case(backend, speed, environment__instance=rented, host_id=digit * 32, suite_id=digit * 32):
            save(record, folder / name)
