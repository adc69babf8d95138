"""The folder of compiled graphs: ``ab/cd/<key>.neff``, written atomically."""

import os
import shutil
import tempfile
from pathlib import Path

from torch_neuronx._settings import is_on


class NeffCache:
    """TORCH_NEURONX_NEFF_CACHE_DIR, read anew each time."""

    def __init__(self) -> None:
        self._folder = Path(os.environ.get("TORCH_NEURONX_NEFF_CACHE_DIR", "/tmp/neff_cache"))

    def add(self, key: str, content: str) -> bool:
        """Whether the graph had to be compiled; it is in the cache now.

        Raises:
            RuntimeError: it had to be and neuronx-cc is not on the PATH.
        """
        path = self._folder / key[:2] / key[2:4] / f"{key}.neff"
        disabled = is_on("TORCH_NEURONX_NEFF_DISABLE_CACHE", False)
        if path.exists() and not disabled:
            return False
        if shutil.which("neuronx-cc") is None:
            raise RuntimeError("neuronx-cc is not on the PATH")
        if not disabled:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent)
            with os.fdopen(descriptor, "w") as file:
                file.write(content)
            Path(temporary).replace(path)
        return True
