"""Which rented machine this is, without a network: what the firmware says about itself."""

from pathlib import Path

from results.record import Instance

_DMI = Path("/sys/class/dmi/id")

_PROVIDERS = {"Amazon EC2": "aws", "Google": "gcp", "Microsoft Corporation": "azure"}
"""sys_vendor -> provider. Source: cloud-init's data source identification."""


def detect_instance(dmi: Path = _DMI) -> Instance:
    """Provider and instance type as the DMI tables tell them; blocks only for two small file reads.

    On EC2's Nitro machines product_name is the instance type; elsewhere the type needs a network, so it
    stays unknown and the source says so.
    """
    vendor, product = _read(dmi / "sys_vendor"), _read(dmi / "product_name")
    provider = _PROVIDERS.get(vendor or "")
    if provider == "aws" and product and "." in product:
        return Instance(provider=provider, name=product, source="DMI product_name")
    if provider is not None:
        return Instance(provider=provider, name=None, source="DMI names the provider, not the instance type")
    return Instance(provider=None, name=None, source="DMI names no known cloud")


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()[:200]
    except OSError:
        return None
