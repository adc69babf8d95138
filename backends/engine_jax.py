"""The jax session, the same for every platform that jax reaches by name ("cpu", "cuda", ...).

The whole optimizer step is one jitted function; parameters and optimizer state are donated to it. What
changes from step to step enters as arrays. Several devices are one mesh, over which the batch is spread and what
the recipe's ``sharding`` names. Nothing in it waits for the device; `losses` does.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from backends.contract import MemoryUse, Rank, Scalar, StepLoss
from backends.errors import BackendError, OutOfMemory, Unavailable
from backends.host import peak_resident_memory
from backends.memory_plan import refuse_what_cannot_fit
from backends.products_jax import chosen_numerics, probe_products
from backends.recipe import Recipe
from workloads.data import Batch
from workloads.models import llama_jax
from workloads.parameters import initial_parameters
from workloads.precision import POLICIES
from workloads.schedule import step_scalars
from workloads.shapes import is_decayed
from workloads.spec import Optimizer, Workload

Tree = dict[str, Array]

_CLIP_EPSILON = 1e-6
"""Added to the norm, as torch.nn.utils.clip_grad_norm_ does."""

_COMPILE_EVENT = "/jax/core/compile/backend_compile_duration"


class JaxSession:
    """One workload on one jax platform. See `backends.contract.Session`."""

    def __init__(
        self,
        workload: Workload,
        recipe: Recipe,
        platform: str,
        rank: Rank,
        facts: Mapping[str, Scalar] | None = None,
        memory_bytes: int | None = None,
    ) -> None:
        """Build parameters and optimizer state on the device; blocks, compiles nothing of the step.

        ``facts`` is what a backend knows of its device better than jax, ``memory_bytes`` that of one device.

        Raises:
            BackendError: a recipe or precision that this engine does not implement.
            Unavailable: jax finds no such platform.
            OutOfMemory: parameters do not fit.
        """
        self.workload, self.recipe, self._platform = workload, recipe, platform
        _refuse_unknown(workload, recipe)
        assert rank.world_size == 1, "one process drives every device; its backend's probe must say so"
        jax.config.update("jax_default_matmul_precision", "highest")
        jax.config.update("jax_enable_x64", workload.precision == "fp64")
        self.mesh = Mesh(devices_of(platform, rank), ("data",))
        self._facts = facts or {}
        if memory_bytes is None and platform != "cpu":
            memory_bytes = _memory_stat(self.device, "bytes_limit")
        refuse_what_cannot_fit(workload, recipe, rank.all_devices, memory_bytes)
        self.numerics = chosen_numerics(workload, recipe, self.device)
        with _memory_errors():
            self.parameters = self._build()
            self._moments = tuple(self._zeros() for _ in range(2))
        self._compiles = _CompileCounter()
        self._step = self._jitted_step()
        self._pending: list[tuple[int, Array, Array]] = []
        self._probe = probe_products(self.numerics, self.device)

    @property
    def device(self) -> Any:
        """The first of them."""
        return self.mesh.devices[0]

    def _build(self) -> Tree:
        """The initial parameters on the device, copied tensor by tensor."""
        return {
            name: jax.device_put(value.astype(self.numerics.master), self._place(value.shape, "all"))
            for name, value in initial_parameters(self.workload.model, self.workload.seed)
        }

    def _zeros(self) -> Tree:
        """A moment of every parameter."""
        return {
            name: jnp.zeros(value.shape, value.dtype, device=self._place(value.shape, "optimizer", "all"))
            for name, value in self.parameters.items()
        }

    def _place(self, shape: tuple[int, ...], *shared_by: str) -> NamedSharding:
        """Spread over the devices along the first axis that they divide, if the recipe's sharding is one of these."""
        count = self.mesh.size
        axis = next((axis for axis, size in enumerate(shape) if size % count == 0), None)
        if self.recipe.sharding not in shared_by or axis is None:
            return NamedSharding(self.mesh, PartitionSpec())
        return NamedSharding(self.mesh, PartitionSpec(*[None] * axis, "data"))

    def _jitted_step(self) -> Any:
        step = partial(train_step, self._loss(), self.workload.optimizer)
        if self.recipe.compile == "off":
            return step
        one = NamedSharding(self.mesh, PartitionSpec())
        stays = jax.tree.map(lambda value: value.sharding, (self.parameters, self._moments))
        return jax.jit(step, donate_argnums=(0, 1), out_shardings=(*stays, one, one))

    def _loss(self) -> Any:
        """The model's loss as the recipe wants it computed."""
        length, wanted = self.workload.sequence_length, self.recipe.loss_part_tokens
        share = (self.recipe.micro_batch or self.workload.global_batch // self.mesh.size) * length
        least = 1 if wanted is None else -(-share // wanted)
        parts = next((parts for parts in range(least, length) if length % parts == 0), length)
        form = llama_jax.Form(
            rematerialise=self.recipe.rematerialise,
            loss=self.recipe.loss,
            loss_parts=parts,
            scan=self.recipe.layers == "scan",
        )
        return partial(llama_jax.loss, self.workload.model, self.numerics, form=form)

    def step(self, batch: Batch) -> None:
        """Enqueue one full optimizer step; returns before the device is done."""
        with _memory_errors():
            self.parameters, self._moments, loss, norm = self._step(
                self.parameters, self._moments, *self._micro_batches(batch), self._scalars(batch.step)
            )
        self._pending.append((batch.step, loss, norm))

    def _micro_batches(self, batch: Batch) -> tuple[Array, Array]:
        """Inputs and targets, each (micro-batches, sequences, positions), sequences spread over the devices."""
        size = (self.recipe.micro_batch or len(batch.inputs) // self.mesh.size) * self.mesh.size
        shape, place = (-1, size, batch.inputs.shape[-1]), NamedSharding(self.mesh, PartitionSpec(None, "data"))
        return tuple(jax.device_put(part.reshape(shape), place) for part in (batch.inputs, batch.targets))

    def _scalars(self, step: int) -> np.ndarray:
        """Learning rate and the two bias corrections, in the master type."""
        now = step_scalars(self.workload.optimizer, step)
        return np.array([now.learning_rate, now.bias_correction1, now.bias_correction2], self.numerics.master)

    def gradients(self, batch: Batch) -> Tree:
        """Mean gradients of a batch by parameter name, before clipping; moves nothing. For tests."""
        return jax.jit(partial(mean_gradients, self._loss()))(self.parameters, *self._micro_batches(batch))[1]

    def sync(self) -> None:
        """Wait for everything enqueued on the device."""
        with _memory_errors():
            jax.block_until_ready((self.parameters, self._moments, self._pending))

    def losses(self) -> Sequence[StepLoss]:
        """Read back every step since the last call; blocks until they are done."""
        pending, self._pending = self._pending, []
        with _memory_errors():
            values = jax.device_get([(loss, norm) for _, loss, norm in pending])
        return [
            StepLoss(step=step, loss=float(loss), gradient_norm=float(norm))
            for (step, *_), (loss, norm) in zip(pending, values, strict=True)
        ]

    def compiled_graphs(self) -> int | None:
        """Programs that XLA compiled or loaded from its cache in this process, small helpers included."""
        return self._compiles.count

    def memory(self) -> MemoryUse | None:
        """Peak of the allocator of the device that needed most, or of the process where the device is the host."""
        if self.device.platform == "cpu":
            return peak_resident_memory()
        peaks = [_memory_stat(device, "peak_bytes_in_use") for device in self.mesh.devices.flat]
        known = [peak for peak in peaks if peak is not None]
        return MemoryUse(peak_bytes=max(known), source="jax memory_stats peak_bytes_in_use") if known else None

    def describe(self) -> Mapping[str, Scalar]:
        """What really runs."""
        first = next(iter(self.parameters.values()))
        device = next((one for one in first.devices() if one.platform != self.device.platform), self.device)
        return {
            "engine": "jax",
            "engine_version": jax.__version__,
            # jax calls every vendor's GPU "gpu"; a CPU that stands in for one is still told.
            "device_type": self._platform if device.platform == "gpu" else device.platform,
            "device_name": device.device_kind,
            "master_dtype": str(first.dtype),
            "operand_dtype": str(self.numerics.operands),
            "attention": self.numerics.attention,
            "layers": self.recipe.layers,
            "loss": self.recipe.loss,
            "compile": self.recipe.compile,
            "sharding": self.recipe.sharding,
            "devices": self.mesh.size,
            **self._facts,
            "fallback": None,
            "elsewhere": None,
            "optimizer": "fairchip AdamW, inside the jitted step",
            "host_threads": None,
            **self._probe,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the device's memory and stop counting compiles."""
        self._compiles.close()
        del self.parameters, self._moments, self._step


def train_step(
    loss: Any,
    rule: Optimizer,
    parameters: Tree,
    moments: tuple[Tree, Tree],
    inputs: Array,
    targets: Array,
    scalars: Array,
) -> tuple[Tree, tuple[Tree, Tree], Array, Array]:
    """One optimizer step: new parameters, new moments, mean loss, gradient norm before clipping.

    Inputs and targets are int32 (micro-batches, sequences, positions); scalars are the learning rate and
    the two bias corrections.
    """
    mean_loss, gradients = mean_gradients(loss, parameters, inputs, targets)
    norm = global_norm(gradients)
    scale = jnp.minimum(1.0, rule.clip_norm / (norm + _CLIP_EPSILON))
    update = partial(_adamw, rule, scalars)
    new = {
        name: update(parameters[name], moments[0][name], moments[1][name], gradient * scale)
        for name, gradient in gradients.items()
    }
    values, first, second = ({name: parts[i] for name, parts in new.items()} for i in range(3))
    return values, (first, second), mean_loss, norm


def mean_gradients(loss: Any, parameters: Tree, inputs: Array, targets: Array) -> tuple[Array, Tree]:
    """Mean loss and mean gradients over the micro-batches, which run one after the other."""
    loss_and_gradients = jax.value_and_grad(loss)
    count = inputs.shape[0]
    if count == 1:
        return loss_and_gradients(parameters, inputs[0], targets[0])

    def add(total: Any, micro_batch: tuple[Array, Array]) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, loss_and_gradients(parameters, *micro_batch)), None

    zero = jax.tree.map(jnp.zeros_like, jax.eval_shape(loss_and_gradients, parameters, inputs[0], targets[0]))
    total, _ = jax.lax.scan(add, zero, (inputs, targets))
    return jax.tree.map(lambda value: value / count, total)


def global_norm(gradients: Tree) -> Array:
    """L2 norm over all gradients, from the norms of each tensor."""
    return jnp.linalg.norm(jnp.stack([jnp.linalg.norm(gradient.reshape(-1)) for gradient in gradients.values()]))


def _adamw(
    rule: Optimizer, scalars: Array, value: Array, first: Array, second: Array, gradient: Array
) -> tuple[Array, Array, Array]:
    """Loshchilov and Hutter, Decoupled Weight Decay (arXiv 1711.05101), algorithm 2, as torch.optim.AdamW."""
    rate, correction1, correction2 = scalars
    first = rule.beta1 * first + (1 - rule.beta1) * gradient
    second = rule.beta2 * second + (1 - rule.beta2) * gradient * gradient
    if is_decayed(value.shape):
        value = value * (1 - rate * rule.weight_decay)
    denominator = jnp.sqrt(second) / jnp.sqrt(correction2) + rule.epsilon
    return value - rate / correction1 * first / denominator, first, second


def _refuse_unknown(workload: Workload, recipe: Recipe) -> None:
    if POLICIES[workload.precision].rounded_to is not None:
        raise BackendError(f"precision {workload.precision} is emulated by torch-cpu only", "use another precision")
    choices = {
        "attention": (recipe.attention, llama_jax.ATTENTIONS),
        "loss": (recipe.loss, llama_jax.LOSSES),
        "compile": (recipe.compile, ("whole", "off")),
        "product_kernel": (recipe.product_kernel, ("matmul",)),
    }
    for kind, (asked, known) in choices.items():
        if asked not in known:
            raise BackendError(f"jax has no {kind} {asked!r}", f"known: {', '.join(known)}")
    if recipe.compile_mode != "default":
        raise BackendError("compile_mode is torch.compile's", "leave it out of a recipe for jax")
    if recipe.update != "default":
        raise BackendError("update is torch's: jax compiles the whole step", "leave it out of a recipe for jax")
    if recipe.threads is not None:
        raise BackendError("the jax engine cannot set a number of threads", "leave threads out of the recipe")


def devices_of(platform: str, rank: Rank) -> list[Any]:
    """As many as the process drives; a CPU is divided into so many."""
    if platform == "cpu" and rank.devices > 1:
        jax.config.update("jax_num_cpu_devices", rank.devices)
    try:
        found = jax.local_devices(backend=platform)
    except (RuntimeError, AssertionError) as error:  # the latter where the plug-in that JAX_PLATFORMS names is missing
        first_line = (str(error).splitlines() or ["no plug-in for it"])[0]
        raise Unavailable(
            f"jax {jax.__version__} finds no {platform} device: {first_line}", "see: fairchip doctor"
        ) from error
    if len(found) < rank.devices:
        raise Unavailable(
            f"jax {jax.__version__} finds {len(found)} {platform} devices and {rank.devices} are asked for",
            "see: fairchip doctor",
        )
    return found[: rank.devices]


def _memory_stat(device: Any, name: str) -> int | None:
    """A figure of the device's allocator, in bytes; None on a platform that does not tell."""
    try:
        found = (device.memory_stats() or {}).get(name)
    except (RuntimeError, NotImplementedError):
        return None
    return None if found is None else int(found)


class _CompileCounter:
    """Counts XLA compilations through jax's monitoring events."""

    def __init__(self) -> None:
        self.count = 0
        self._open = True
        jax.monitoring.register_event_duration_secs_listener(self._on_event)

    def _on_event(self, event: str, duration: float, **_: object) -> None:
        self.count += self._open and event == _COMPILE_EVENT

    def close(self) -> None:
        self._open = False


class _memory_errors:
    """Turns XLA's RESOURCE_EXHAUSTED into `OutOfMemory`."""

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
            first_line = str(error).splitlines()[0] if str(error) else "out of memory"
            raise OutOfMemory(first_line, "use a smaller micro_batch in the recipe, or rematerialise") from error
