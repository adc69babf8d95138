"""Where each engine keeps what it compiled, so that a suite pays for compiling once and records it."""

from collections.abc import Mapping
from pathlib import Path


def torch_cache(cache: Path) -> Mapping[str, str]:
    """Inductor's and Triton's caches below ``cache``.

    By the last one a program with autograd functions of its own is kept as autograd took it apart, too. torch leaves
    that to the user, since its key is what was traced of them; here caches live as long as a suite.
    """
    return {
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        "TRITON_CACHE_DIR": str(cache / "triton"),
        "TORCHINDUCTOR_FX_GRAPH_CACHE": "1",
        "TORCHINDUCTOR_AUTOGRAD_CACHE": "1",
        "TORCHINDUCTOR_AUTOGRAD_CACHE_ALLOW_CUSTOM_AUTOGRAD": "1",
    }


def jax_cache(cache: Path) -> Mapping[str, str]:
    """XLA's persistent cache below ``cache``, with no lower limits."""
    return {
        "JAX_COMPILATION_CACHE_DIR": str(cache / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
