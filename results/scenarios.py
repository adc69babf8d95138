"""What is simulated: noise as measured, calmer and worse, and every way in which cases come to be compared."""

from collections.abc import Iterator
from functools import partial

from results.simulated_runs import Scenario

DRIFT = 0.05
"""Over one suite: linear, with a slow wandering of a fifth of it on top."""
STILL, CALM, COMMON = (0.001, 0.001), (0.005, 0.005), (0.03, 0.03)
"""Between processes: accelerators that nobody shares, and a CPU whose owner does other things too."""
UNEQUAL = (0.02, 0.04)


def scenarios() -> Iterator[Scenario]:
    """From one machine to several hosts a side."""
    yield from _in_turns()
    yield from _in_two_suites()
    yield from _on_two_machines()
    yield from _on_several_hosts()
    yield from _planned()
    yield from _alone()


def _in_turns() -> Iterator[Scenario]:
    scenario = partial(Scenario, setting="in turns", claim="this machine", turns=True)
    for sd in (0.02, 0.03, 0.04):
        yield scenario(process_sds=(sd, sd))
        yield scenario(process_sds=(sd, sd), drift=DRIFT)
    for sds in (UNEQUAL, CALM, STILL):
        yield scenario(process_sds=sds, drift=DRIFT)
    yield scenario(setting="in turns, on 2", claim="these machines", process_sds=COMMON, drift=DRIFT, hosts=(2, 2))


def _planned() -> Iterator[Scenario]:
    """A pilot decides how many runs there are: of two cases that take turns, of two suites, of one case.

    That the noise stays what it was in the pilot is assumed, and what it costs if it doubles is shown.
    """
    for sd, target in ((0.02, 0.03), (0.03, 0.03), (0.04, 0.05), (0.005, 0.03)):
        same = partial(Scenario, process_sds=(sd, sd), target=target)
        yield same(setting=f"planned, {target:.0%}", claim="this machine", turns=True)
    turns = partial(Scenario, claim="this machine", process_sds=COMMON, target=0.03, turns=True)
    yield turns(setting="planned, 3%", drift=DRIFT)
    yield turns(setting="noisier later", later_noise=2.0, says="no")
    yield Scenario(setting="planned, 3%", claim="these suites", process_sds=COMMON, target=0.03)
    yield Scenario(
        setting="planned alone", claim="this machine", says="shown", process_sds=COMMON, alone=True, target=0.02
    )


def _in_two_suites() -> Iterator[Scenario]:
    """Nothing is allowed for here, so that unequal noise and lost runs show whether Welch's method bears them."""
    scenario = partial(Scenario, setting="two suites", claim="these suites")
    yield scenario(process_sds=COMMON)
    yield scenario(process_sds=COMMON, drift=DRIFT)
    yield scenario(process_sds=UNEQUAL)
    yield scenario(process_sds=COMMON, runs_left=3)
    yield scenario(process_sds=UNEQUAL, runs_left=3)


def _on_two_machines() -> Iterator[Scenario]:
    """One host a side: a claim about these, carried to their types as far as the allowance reaches, and no further."""
    scenario = partial(Scenario, setting="two machines", same_machine=False)
    for sd in (0.02, 0.03, 0.04):
        yield scenario(claim="these machines", process_sds=(sd, sd))
    yield scenario(claim="these machines", process_sds=COMMON, drift=DRIFT)
    for sds in (CALM, COMMON):
        yield scenario(claim="their types", process_sds=sds, host_sd=0.01)
        for host_sd in (0.015, 0.02):
            yield scenario(claim="their types", says="no", process_sds=sds, host_sd=host_sd)


def _on_several_hosts() -> Iterator[Scenario]:
    scenario = partial(Scenario, claim="their types", same_machine=False, drift=DRIFT)
    for hosts in ((2, 2), (3, 3), (2, 5)):
        for sds, host_sd in ((CALM, 0.02), (COMMON, 0.015), (COMMON, 0.02)):
            yield scenario(setting=f"{hosts[0]} and {hosts[1]} hosts", hosts=hosts, process_sds=sds, host_sd=host_sd)


def _alone() -> Iterator[Scenario]:
    """The tokens per second of one case."""
    scenario = partial(Scenario, says="shown", process_sds=COMMON, alone=True)
    for drift in (0.0, DRIFT):
        yield scenario(setting="alone", claim="this machine", drift=drift)
    several = partial(scenario, same_machine=False, host_sd=0.02, drift=DRIFT)
    yield several(setting="alone, 3 hosts", claim="its type", hosts=(3, 1))
