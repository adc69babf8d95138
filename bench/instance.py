"""Which rented machine this is: what the firmware says about itself, then the metadata server of that cloud.

A server is asked only where the firmware names its cloud: anywhere else nothing is sent, and nothing waited for.
"""

from functools import cache
from pathlib import Path

from backends.host import small_text
from results.record import Instance

_DMI = Path("/sys/class/dmi/id")

_METADATA_SERVER = ("169.254.169.254", 80)
"""The same address at EC2, GCE and Azure; link-local, so that no router passes on what is sent to it."""

_AZURE_CHASSIS = "7783-7084-3265-9085-8269-3286-77"
"""Other machines of Microsoft's and of Hyper-V lack it. Source: cloud-init's data source for Azure."""


def detect_instance(dmi: Path = _DMI, server: tuple[str, int] | None = None) -> Instance:
    """Provider, type, region and purchase model as far as they can be known; blocks for about a second at most.

    The firmware's word is taken first, and stands where the server is silent; the source says why.

    Args:
        dmi: the DMI tables. Without arguments this machine's, found out once a process.
        server: numeric address and port of the metadata server. Without one, tables that are not this machine's are
            all that is read.
    """
    return _this_machine() if dmi == _DMI and server is None else _detect(dmi, server)


@cache
def _this_machine() -> Instance:
    return _detect(_DMI, _METADATA_SERVER)


def _detect(dmi: Path, server: tuple[str, int] | None) -> Instance:
    machine = _from_firmware(dmi)
    if machine.provider is None or server is None:
        return machine
    from bench.metadata_server import ASK  # http.client is slow to import, and of no use elsewhere

    told = ASK[machine.provider](server)
    return Instance(
        provider=machine.provider,
        name=machine.name or told.name,
        region=told.region,
        purchase_model=told.purchase_model,
        source=f"{machine.source}; {told.source}",
    )


def _from_firmware(dmi: Path) -> Instance:
    """Source of the names: cloud-init's data source identification. On EC2's Nitro the product is the type."""
    vendor, product = small_text(dmi / "sys_vendor"), small_text(dmi / "product_name")[:200]
    if vendor == "Amazon EC2" and "." in product:
        return Instance(provider="aws", name=product, source="DMI product_name")
    if vendor == "Amazon EC2":
        return _of_unknown_type("aws")
    if vendor == "Google" and product == "Google Compute Engine":
        return _of_unknown_type("gcp")
    if vendor == "Microsoft Corporation" and small_text(dmi / "chassis_asset_tag") == _AZURE_CHASSIS:
        return _of_unknown_type("azure")
    hint = ": Hyper-V, not Azure" if vendor == "Microsoft Corporation" else ""
    return Instance(provider=None, name=None, source=f"DMI names no known cloud{hint}")


def _of_unknown_type(provider: str) -> Instance:
    return Instance(provider=provider, name=None, source="DMI names the provider, not the instance type")
