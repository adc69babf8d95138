"""The session passes what we ask of every backend, on the device that torch-xla gives for the CPU."""

from xla_cpu import XlaOnCpu, require_torch_xla

from backends.conformance import BackendConformance

require_torch_xla()


class TestXlaOnCpu(BackendConformance):
    backend = XlaOnCpu()
