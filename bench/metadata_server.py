"""What the metadata servers of EC2, GCE and Azure tell of a rented machine: type, region and how it was bought.

Nothing else is asked for or kept: no account, project, identifier, zone, address or user's attribute. An answer that
is not exactly of the expected shape, such as the page of a captive portal, is none.

Sources: "Instance metadata categories" and "Use IMDSv2" of the Amazon EC2 User Guide; "About VM metadata" and
"Predefined metadata keys" of the Compute Engine documentation; "Azure Instance Metadata Service for virtual machines".
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.metadata_http import Address, NoAnswer, Server

LONGEST_SECONDS = 1.0
"""Of all exchanges of a detection together."""

_EC2 = {
    "instance-type": r"([a-z0-9-]{2,30}\.[a-z0-9-]{2,30})",
    "placement/region": r"([a-z]{2,10}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2})",
    "instance-life-cycle": r"([a-z]{2,20}(?:-[a-z]{2,20}){0,4})",
}
_EC2_TOKEN = r"([A-Za-z0-9+/=_-]{8,1024})"
_EC2_MODELS = ("on-demand", "spot", "capacity-block")
"""Life cycles that are a purchase model of the price book. DescribeInstances knows also ``scheduled`` and
``interruptible-capacity-reservation``; that this server writes ``capacity-block`` as DescribeInstances does is taken
from there, and nobody has seen it here."""

_GCE = {
    "machine-type": r"projects/[^/\s]{1,100}/machineTypes/([a-z][a-z0-9]{0,20}(?:-[a-z0-9]{1,20}){1,6})",
    "zone": r"projects/[^/\s]{1,100}/zones/([a-z]{2,20}-[a-z]{2,20}[0-9]{1,2})-[a-z0-9]{1,8}",
    "scheduling/preemptible": "(TRUE|FALSE)",
}
_GCE_MODELS = {"TRUE": "spot", "FALSE": "on-demand"}

_AZURE = {
    "vmSize": r"([A-Za-z]{2,20}_[A-Za-z0-9_-]{1,60})",
    "location": r"([a-z]{2,30}[0-9]{0,2})",
    "priority": "(Regular|Spot)",
}
_AZURE_MODELS = {"Spot": "spot", "Regular": "on-demand"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a server told, None where it did not, and by which protocol or why not."""

    name: str | None = None
    """The provider's name of the machine's type."""
    region: str | None = None
    purchase_model: str | None = None
    source: str


def ask_ec2(address: Address) -> Told:
    """By IMDSv2, which has a token before everything; blocks for a second at most.

    In a container the token may never arrive: an answer makes as many hops as the owner allows, by default one.
    """
    server = Server.within(LONGEST_SECONDS, address)
    try:
        token = server.answer("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
        proof = {"X-aws-ec2-metadata-token": _fitting(token, _EC2_TOKEN)}
    except NoAnswer as why:
        return Told(source=f"IMDSv2 gave no token: {why}")
    found, source = _read("IMDSv2", _EC2, lambda path: server.answer("GET", f"/latest/meta-data/{path}", proof))
    life_cycle, region = found.get("instance-life-cycle"), found.get("placement/region")
    model = life_cycle if life_cycle in _EC2_MODELS else None
    if life_cycle != model:
        source += f"; instance-life-cycle {life_cycle} is no purchase model"
    return Told(name=found.get("instance-type"), region=region, purchase_model=model, source=source)


def ask_gce(address: Address) -> Told:
    """By the server's address, so that no name is looked up; blocks for a second at most.

    What is not preemptible counts as on demand, also where a reservation or a commitment pays for it.
    """
    server, flavor = Server.within(LONGEST_SECONDS, address), ("Metadata-Flavor", "Google")
    headers = {"Host": "metadata.google.internal", "Metadata-Flavor": "Google"}
    found, source = _read(
        "GCE metadata", _GCE, lambda path: server.answer("GET", f"/computeMetadata/v1/instance/{path}", headers, flavor)
    )
    model = _GCE_MODELS.get(found.get("scheduling/preemptible", ""))
    return Told(name=found.get("machine-type"), region=found.get("zone"), purchase_model=model, source=source)


def ask_azure(address: Address) -> Told:
    """Three fields of the one table that it sends; blocks for a second at most."""
    server = Server.within(LONGEST_SECONDS, address)
    try:
        text = server.answer("GET", "/metadata/instance/compute?api-version=2021-02-01", {"Metadata": "true"})
        compute = _table(text)
    except NoAnswer as why:
        return Told(source=f"Azure IMDS told nothing: {why}")
    found, source = _read("Azure IMDS", _AZURE, lambda name: str(compute.get(name, "")))
    model = _AZURE_MODELS.get(found.get("priority", ""))
    return Told(name=found.get("vmSize"), region=found.get("location"), purchase_model=model, source=source)


ASK: Mapping[str, Callable[[Address], Told]] = {"aws": ask_ec2, "gcp": ask_gce, "azure": ask_azure}


def _read(protocol: str, fields: Mapping[str, str], ask: Callable[[str], str]) -> tuple[dict[str, str], str]:
    """The fields that could be had, and the protocol with why the others could not."""
    found: dict[str, str] = {}
    missing: dict[str, list[str]] = {}
    for name, pattern in fields.items():
        try:
            found[name] = _fitting(ask(name), pattern)
        except NoAnswer as why:
            missing.setdefault(str(why), []).append(name)
    return found, "; ".join([protocol, *(f"no {', '.join(names)}: {why}" for why, names in missing.items())])


def _fitting(text: str, pattern: str) -> str:
    """The part of the text that is wanted."""
    match = re.fullmatch(pattern, text.strip())
    if match is None:
        raise NoAnswer("an answer of an unexpected shape")
    return match[1]


def _table(text: str) -> dict[str, Any]:
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        raise NoAnswer("an answer of an unexpected shape")
    return table
