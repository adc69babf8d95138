"""Where a step's time goes: operations as a framework's own profiler names them, and what kind of work each is."""

import re
from dataclasses import dataclass

KINDS = {
    "attention": r"scaled_dot_product|flash|fmha|sdpa",
    "optimizer and clipping": r"adamw|multi_tensor|foreach|vector_norm|clip|lerp",
    "products as convolutions": r"convol|conv(_transpose)?2d",
    "matrix products": r"aten::(add|b|badd)?mm$|^(loop_|wrapped_)?dot|gemm|cutlass|nvjet|xmma|matmul",
    "fusions in a library": r"^(ynn|xnn|onednn)",
    "compiled element-wise": r"fus(ed|ion)|triton|compiled",
    "copies": r"copy|memcpy|memset|transpose|concat",
}
"""Kinds of work, each with a pattern over the names of torch's operations, XLA's and kernels; the first counts.

On a CPU XLA gives products, alone or with what surrounds them, to a library; that time is not told apart."""
OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """All calls of one operation while the profiler looked on.

    Its time is its own, without what it called; where threads or streams run beside each other, it is the sum of
    theirs, and all operations together may be more than the time that passed.
    """

    name: str
    seconds: float
    calls: int
    flops: float = 0.0
    """Where the profiler counts them; 0 elsewhere."""

    @property
    def kind(self) -> str:
        """One of `KINDS`, or `OTHER`."""
        return next((kind for kind, names in KINDS.items() if re.search(names, self.name, re.IGNORECASE)), OTHER)
