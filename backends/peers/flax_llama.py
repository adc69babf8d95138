"""A flax nnx Llama under nnx.jit with optax's AdamW."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import flax
import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from backends.contract import MemoryUse, Rank, Scalar, StepLoss
from backends.host import peak_resident_memory
from backends.products_jax import probe_products
from backends.recipe import Recipe
from workloads.data import Batch
from workloads.models.llama_jax import Numerics
from workloads.parameters import initial_parameters
from workloads.precision import POLICIES
from workloads.rotary import rotary_tables
from workloads.spec import Model, Optimizer, Workload

_COMPILED = "/jax/core/compile/backend_compile_duration"


class _Attention(nnx.Module):
    def __init__(self, model: Model, dtype: Any, rngs: nnx.Rngs) -> None:
        def linear(inputs: int, outputs: int) -> nnx.Linear:
            return nnx.Linear(inputs, outputs, use_bias=False, dtype=dtype, rngs=rngs)

        inner, narrow = model.heads * model.head_width, model.kv_heads * model.head_width
        self.q_proj, self.k_proj = linear(model.dim, inner), linear(model.dim, narrow)
        self.v_proj, self.o_proj = linear(model.dim, narrow), linear(inner, model.dim)
        self.width = model.head_width

    def __call__(self, x: Array, tables: tuple[Array, Array]) -> Array:
        q, k, v = (
            projection(x).reshape(*x.shape[:2], -1, self.width)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = _turned(q, tables).astype(v.dtype), _turned(k, tables).astype(v.dtype)
        mixed = jax.nn.dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(mixed.reshape(*x.shape[:2], -1))


class _FeedForward(nnx.Module):
    def __init__(self, model: Model, dtype: Any, rngs: nnx.Rngs) -> None:
        def linear(inputs: int, outputs: int) -> nnx.Linear:
            return nnx.Linear(inputs, outputs, use_bias=False, dtype=dtype, rngs=rngs)

        self.gate_proj, self.up_proj = linear(model.dim, model.ffn_dim), linear(model.dim, model.ffn_dim)
        self.down_proj = linear(model.ffn_dim, model.dim)

    def __call__(self, x: Array) -> Array:
        return self.down_proj(nnx.silu(self.gate_proj(x)) * self.up_proj(x))


class _Block(nnx.Module):
    def __init__(self, model: Model, dtype: Any, rngs: nnx.Rngs) -> None:
        self.input_layernorm = nnx.RMSNorm(model.dim, epsilon=model.norm_epsilon, rngs=rngs)
        self.post_attention_layernorm = nnx.RMSNorm(model.dim, epsilon=model.norm_epsilon, rngs=rngs)
        self.self_attn = _Attention(model, dtype, rngs)
        self.mlp = _FeedForward(model, dtype, rngs)

    def __call__(self, x: Array, tables: tuple[Array, Array]) -> Array:
        x = x + self.self_attn(self.input_layernorm(x), tables)
        return x + self.mlp(self.post_attention_layernorm(x))


class _Llama(nnx.Module):
    def __init__(self, model: Model, sequence_length: int, dtype: Any) -> None:
        rngs = nnx.Rngs(0)
        self.embed_tokens = nnx.Embed(model.vocab_size, model.dim, rngs=rngs)
        self.layers = nnx.List([_Block(model, dtype, rngs) for _ in range(model.layers)])
        self.norm = nnx.RMSNorm(model.dim, epsilon=model.norm_epsilon, rngs=rngs)
        head = nnx.Linear(model.dim, model.vocab_size, use_bias=False, dtype=dtype, rngs=rngs)
        self.lm_head = None if model.tied_head else head
        self.dtype = dtype
        cosine, sine = (jnp.asarray(table, jnp.float32) for table in rotary_tables(model, sequence_length))
        self.cosine, self.sine = nnx.Variable(cosine), nnx.Variable(sine)

    def __call__(self, tokens: Array) -> Array:
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x, (self.cosine[...], self.sine[...]))
        x = self.norm(x).astype(self.dtype)
        return self.embed_tokens.attend(x) if self.lm_head is None else self.lm_head(x)


def _turned(heads: Array, tables: tuple[Array, Array]) -> Array:
    cosine, sine = (table[:, None, :] for table in tables)
    first, second = jnp.split(heads.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)


def _fill(llama: _Llama, model: Model, seed: int) -> None:
    """Copy the initial parameters in: flax holds matrices (in, out)."""
    for name, value in initial_parameters(model, seed):
        *path, leaf = name.removeprefix("model.").split(".")
        place: Any = llama
        for step in path:
            place = place[int(step)] if step.isdigit() else getattr(place, step)
        assert leaf == "weight"
        if isinstance(place, nnx.Linear):
            place.kernel[...] = jnp.asarray(value.T)
        elif isinstance(place, nnx.Embed):
            place.embedding[...] = jnp.asarray(value)
        else:
            place.scale[...] = jnp.asarray(value)


class FlaxSession:
    """One workload with the nnx model; see `backends.contract.Session`."""

    def __init__(self, workload: Workload, recipe: Recipe, platform: str, rank: Rank) -> None:
        """Build model and optimizer; blocks, compiles nothing of the step."""
        assert rank.all_devices == 1, "a peer runs on one device"
        self.workload, self._platform = workload, platform
        jax.config.update("jax_default_matmul_precision", "highest")
        policy = POLICIES[workload.precision]
        self.numerics = Numerics.of(policy, "sdpa")
        self.model = _Llama(workload.model, workload.sequence_length, self.numerics.operands)
        _fill(self.model, workload.model, workload.seed)
        self.optimizer = nnx.Optimizer(self.model, _adamw(workload.optimizer), wrt=nnx.Param)
        self._compiles = 0
        jax.monitoring.register_event_duration_secs_listener(self._count)
        self._step = nnx.jit(_train_step, donate_argnums=(0, 1))
        self._pending: list[tuple[int, Array, Array]] = []
        self._probe = probe_products(self.numerics, jax.local_devices()[0])

    def step(self, batch: Batch) -> None:
        """Enqueue one full optimizer step; returns before the device is done."""
        loss, norm = self._step(self.model, self.optimizer, jnp.asarray(batch.inputs), jnp.asarray(batch.targets))
        self._pending.append((batch.step, loss, norm))

    def sync(self) -> None:
        """Wait for everything enqueued."""
        jax.block_until_ready((nnx.state(self.model), [pair for _, *pair in self._pending]))

    def losses(self) -> Sequence[StepLoss]:
        """Read back every step since the last call; blocks until they are done."""
        pending, self._pending = self._pending, []
        return [StepLoss(step=step, loss=float(loss), gradient_norm=float(norm)) for step, loss, norm in pending]

    def compiled_graphs(self) -> int | None:
        """Programs that XLA compiled or loaded from its cache in this process."""
        return self._compiles

    def _count(self, event: str, duration: float, **_: object) -> None:
        self._compiles += event == _COMPILED

    def memory(self) -> MemoryUse | None:
        """Peak of the process, as of our own engine on a CPU."""
        return peak_resident_memory()

    def describe(self) -> Mapping[str, Scalar]:
        """What really runs."""
        device = next(iter(self.model.embed_tokens.embedding[...].devices()))
        return {
            "engine": f"flax {flax.__version__} nnx, optax {optax.__version__}",
            "engine_version": jax.__version__,
            "device_type": self._platform if device.platform == "gpu" else device.platform,
            "device_name": device.device_kind,
            "fallback": None,
            "elsewhere": None,
            "optimizer": "optax.adamw",
            **self._probe,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the memory."""
        del self.model, self.optimizer


def _adamw(rule: Optimizer) -> optax.GradientTransformation:
    """Clipping, then AdamW with decay on matrices alone, at the workload's rate of each step."""

    def rate(count: Array) -> Array:
        return rule.learning_rate * jnp.minimum(1.0, (count + 1) / max(1, rule.warmup_steps))

    def matrices(parameters: Any) -> Any:
        return jax.tree.map(lambda value: value.ndim > 1, parameters)

    adamw = optax.adamw(
        rate, b1=rule.beta1, b2=rule.beta2, eps=rule.epsilon, weight_decay=rule.weight_decay, mask=matrices
    )
    return optax.chain(optax.clip_by_global_norm(rule.clip_norm), adamw)


def _train_step(model: _Llama, optimizer: nnx.Optimizer, inputs: Array, targets: Array) -> tuple[Array, Array]:
    def loss_of(model: _Llama) -> Array:
        scores = model(inputs).astype(jnp.float32)
        return optax.softmax_cross_entropy_with_integer_labels(scores, targets).mean()

    loss, gradients = nnx.value_and_grad(loss_of)(model)
    norm = optax.global_norm(gradients)
    optimizer.update(model, gradients)
    return loss, norm
