"""Break one line at a time; the float64 trajectory of the other engine must notice.

Each mutant is the real source with one piece of text replaced. A mutation whose text is no longer there
fails, so that this list keeps up with the code.
"""

import importlib
import importlib.util
import sys
from dataclasses import replace
from types import ModuleType

import pytest
from parity_workload import deviation, run_steps, small_workload

pytest.importorskip("torch")
pytest.importorskip("jax")

from backends import engine_jax, engine_torch
from backends.recipe import Recipe
from workloads.models import llama_jax, llama_torch

EAGER = Recipe(compile="off")
MICRO = Recipe(compile="off", micro_batch=1)
JITTED = Recipe(compile="whole", loss_part_tokens=24)
LIMIT = 1e-10

TORCH_MODEL, TORCH_ENGINE = "workloads.models.llama_torch", "backends.engine_torch"
JAX_MODEL, JAX_ENGINE = "workloads.models.llama_jax", "backends.engine_jax"
TORCH_BLOCKS, JAX_BLOCKS = "workloads.models.causal_blocks_torch", "workloads.models.causal_blocks_jax"
TORCH_NORM = "workloads.models.norm_torch"
TORCH_LOSS = "workloads.models.cross_entropy_torch"
TORCH_ONE_PASS = "backends.one_pass_torch"

PARTS = {
    TORCH_BLOCKS: (llama_torch, "blocked_attention"),
    JAX_BLOCKS: (llama_jax, "blocked_attention"),
    TORCH_NORM: (llama_torch, "rms_norm"),
    TORCH_LOSS: (llama_torch, "closed_form_cross_entropy"),
    TORCH_ONE_PASS: (engine_torch, "one_pass"),
}
"""Modules of one function, and the module that calls it."""

RECIPES = {
    TORCH_MODEL: EAGER,
    TORCH_ENGINE: EAGER,
    TORCH_BLOCKS: replace(EAGER, attention="causal-blocks"),
    TORCH_NORM: EAGER,
    TORCH_LOSS: replace(EAGER, loss="closed-form"),
    TORCH_ONE_PASS: replace(EAGER, update="one-pass"),
    JAX_MODEL: JITTED,
    JAX_ENGINE: JITTED,
    JAX_BLOCKS: replace(JITTED, attention="causal-blocks"),
}

MUTATIONS = {
    "rotary convention": (
        TORCH_MODEL,
        "heads.chunk(2, dim=-1)",
        "(heads[..., ::2], heads[..., 1::2])",
    ),
    "rotary sign": (TORCH_MODEL, "first * cosine - second * sine", "first * cosine + second * sine"),
    "RMS epsilon": (TORCH_NORM, "keepdim=True) + epsilon", "keepdim=True) + 1e-6"),
    "norm's gradient": (TORCH_NORM, "return gradient * weight,", "return gradient,"),
    "norm's weight's gradient": (TORCH_NORM, "(gradient * x).flatten", "gradient.flatten"),
    "causal mask": (TORCH_MODEL, "masked_fill(~causal", "masked_fill(causal & ~causal"),
    "attention scale": (TORCH_MODEL, "q.shape[-1] ** -0.5", "q.shape[-1] ** -0.49"),
    "key-value head mapping": (
        TORCH_MODEL,
        "part.repeat_interleave(group, dim=1)",
        "part.repeat(1, group, 1, 1)",
    ),
    "loss mean": (TORCH_MODEL, "self.tail(stream, wanted, *weights) / divisor", "self.tail(stream, wanted, *weights)"),
    "loss of an odd number of tokens": (TORCH_ENGINE, "return tokens / loss_divisor(tokens)", "return 1.0"),
    "activation": (TORCH_MODEL, "F.silu(", "F.gelu("),
    "missing residual": (TORCH_MODEL, "return stream + self.mlp(", "return self.mlp("),
    "missing final norm": (TORCH_MODEL, "rms_norm(stream, norm, self.epsilon)", "stream"),
    "frequency scaling": (
        TORCH_MODEL,
        "rotary_tables(self.shape, self.sequence_length)",
        "rotary_tables(__import__('dataclasses').replace(self.shape, rotary_scaling=None), self.sequence_length)",
    ),
    "AdamW epsilon": (TORCH_ENGINE, "eps=rule.epsilon", "eps=1e-7"),
    "AdamW beta2": (TORCH_ENGINE, "betas = (rule.beta1, rule.beta2)", "betas = (rule.beta1, 0.951)"),
    "decay on norms": (TORCH_ENGINE, '"weight_decay": 0.0', '"weight_decay": decay'),
    "no decay": (TORCH_ENGINE, '"weight_decay": decay', '"weight_decay": 0.0'),
    "no clip": (TORCH_ENGINE, "torch._foreach_mul_(gradients,", "(lambda *_: None)(gradients,"),
    "clip epsilon": (TORCH_ENGINE, "_CLIP_EPSILON = 1e-6", "_CLIP_EPSILON = 1e-5"),
    "no warm-up": (
        TORCH_ENGINE,
        "step_scalars(self.workload.optimizer, step)",
        "step_scalars(self.workload.optimizer, 99)",
    ),
    "warm-up late by one": (
        TORCH_ENGINE,
        "step_scalars(self.workload.optimizer, step)",
        "step_scalars(self.workload.optimizer, step + 1)",
    ),
    "stale gradients": (TORCH_ENGINE, "self.optimizer.zero_grad(set_to_none=not self._replays)", "pass"),
    "seed": (TORCH_ENGINE, "self.workload.seed)", "self.workload.seed + 1)"),
    "jax rotary convention": (
        JAX_MODEL,
        "jnp.split(heads.astype(cosine.dtype), 2, axis=-1)",
        "(heads.astype(cosine.dtype)[..., ::2], heads.astype(cosine.dtype)[..., 1::2])",
    ),
    "jax causal mask": (
        JAX_MODEL,
        "jnp.tri(positions, dtype=bool)",
        "jnp.ones((positions, positions), dtype=bool)",
    ),
    "jax loss mean": (JAX_MODEL, "weights, stream, targets) / targets.size", "weights, stream, targets)"),
    "jax gradients of parts": (JAX_MODEL, "lambda gradient: outer * gradient", "lambda gradient: gradient"),
    "jax RMS epsilon": (JAX_MODEL, "keepdims=True) + epsilon", "keepdims=True) + 1e-6"),
    "jax key-value head mapping": (
        JAX_MODEL,
        "reshape(batch, positions, model.kv_heads, -1, width)",
        "reshape(batch, positions, -1, model.kv_heads, width).swapaxes(2, 3)",
    ),
    "jax AdamW epsilon": (JAX_ENGINE, "+ rule.epsilon", "+ 1e-7"),
    "jax epsilon inside the root": (
        JAX_ENGINE,
        "jnp.sqrt(second) / jnp.sqrt(correction2) + rule.epsilon",
        "jnp.sqrt(second / correction2 + rule.epsilon)",
    ),
    "jax bias correction": (JAX_ENGINE, "rate / correction1", "rate"),
    "jax decay on norms": (JAX_ENGINE, "if is_decayed(value.shape):", "if True:"),
    "jax coupled decay": (
        JAX_ENGINE,
        "first = rule.beta1 * first",
        "gradient = gradient + rule.weight_decay * value; first = rule.beta1 * first",
    ),
    "jax no clip": (JAX_ENGINE, "gradient * scale)", "gradient)"),
    "blocks' mask": (TORCH_BLOCKS, "future(rows, groups, master, q.device)", "0.0"),
    "blocks' scale": (TORCH_BLOCKS, "q.shape[-1] ** -0.5", "q.shape[-1] ** -0.49"),
    "blocks' scale, backward": (TORCH_BLOCKS, "(of_weights - of_sum) * _scale(q)", "(of_weights - of_sum)"),
    "blocks' key-value head mapping": (
        TORCH_BLOCKS,
        "x[:, :, rows].unflatten(1, (-1, groups))",
        "x[:, :, rows].unflatten(1, (groups, -1)).transpose(1, 2)",
    ),
    "blocks' softmax, backward": (TORCH_BLOCKS, "(of_weights - of_sum)", "of_weights"),
    "blocks' sums of weights, backward": (TORCH_BLOCKS, "(outer.to(ctx.master) / total)", "outer"),
    "long blocks' mask, backward": (TORCH_BLOCKS, "future(rows, groups, ctx.master, q.device, turned=True)", "0.0"),
    "long blocks' scale, backward": (TORCH_BLOCKS, "(of_weights - of_sum) * _scale(q)", "(of_weights - of_sum)"),
    "long blocks' scale, again": (TORCH_BLOCKS, ".to(ctx.master) * _scale(q) + later", ".to(ctx.master) + later"),
    "long blocks' softmax, backward": (TORCH_BLOCKS, "(of_weights - of_sum)", "of_weights"),
    "long blocks' sums of weights": (TORCH_BLOCKS, "most + total.log()", "most"),
    "blocks' keys of the first block only": (TORCH_BLOCKS, "in pieces[place:])", "in pieces[place : place + 1])"),
    "closed form's target": (TORCH_LOSS, "(-1, places, at_target", "(-1, 0 * places, at_target"),
    "closed form's largest score": (TORCH_LOSS, "log_sum = largest +", "log_sum ="),
    "closed form's incoming gradient": (TORCH_LOSS, ".exp() * outer", ".exp()"),
    "one pass: epsilon": (TORCH_ONE_PASS, "rule.epsilon", "1e-7"),
    "one pass: beta1": (TORCH_ONE_PASS, "1 - rule.beta1", "0.101"),
    "one pass: beta2": (TORCH_ONE_PASS, "second.mul_(rule.beta2)", "second.mul_(0.951)"),
    "one pass: bias correction": (TORCH_ONE_PASS, "rate / now.bias_correction1", "rate"),
    "one pass: bias correction of the root": (TORCH_ONE_PASS, "second.sqrt() / root", "second.sqrt()"),
    "one pass: bias correction of the first step": (TORCH_ONE_PASS, "self._steps += 1", "self._steps = 1"),
    "one pass: decay on norms": (TORCH_ONE_PASS, "if is_decayed(master.shape):", "if True:"),
    "one pass: no decay": (TORCH_ONE_PASS, "if is_decayed(master.shape):", "if False:"),
    "one pass: no clip": (TORCH_ONE_PASS, "gradient.to(master.dtype) * scale", "gradient.to(master.dtype)"),
    "one pass: norm of some parts": (TORCH_ONE_PASS, "torch.stack(norms)", "torch.stack(norms[1:])"),
    "one pass: some parts": (TORCH_ONE_PASS, "[*layers, rest]", "layers"),
    "jax blocks' mask": (JAX_BLOCKS, "jnp.where(_past(q, rows), scores, -jnp.inf)", "scores"),
    "jax blocks' mask, backward only": (
        JAX_BLOCKS,
        "jnp.where(_past(q, rows).T, jnp.exp(scores - log_sum.mT), 0)",
        "jnp.exp(scores - log_sum.mT)",
    ),
    "jax blocks' scale": (JAX_BLOCKS, "width**-0.5", "width**-0.49"),
    "jax blocks' key-value head mapping": (
        JAX_BLOCKS,
        "reshape(batch * key_heads, -1, positions, width)",
        "reshape(batch, -1, key_heads, positions, width).swapaxes(1, 2).reshape(k.shape[0], -1, positions, width)",
    ),
    "jax blocks' softmax, backward": (JAX_BLOCKS, "(of_weights - of_sum)", "of_weights"),
    "jax blocks' keys of the first block only": (JAX_BLOCKS, "in pieces[place:])", "in pieces[place : place + 1])"),
}


@pytest.fixture(scope="module")
def true_trajectory():
    """The untouched engines agree; either one's trajectory is the truth."""
    torch_steps = run_steps(engine_torch.TorchSession, small_workload(), EAGER)
    jax_steps = run_steps(engine_jax.JaxSession, small_workload(), JITTED)
    assert deviation(torch_steps, jax_steps) <= LIMIT
    return torch_steps


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutant_is_caught(name: str, true_trajectory, monkeypatch: pytest.MonkeyPatch) -> None:
    module_name, old, new = MUTATIONS[name]
    session = _mutated_session(monkeypatch, module_name, old, new)
    if name.startswith("long"):
        monkeypatch.setattr(sys.modules[f"{module_name}_mutant"], "LONGEST_KEPT", 0)
    steps = run_steps(session, small_workload(), RECIPES[module_name])
    assert deviation(steps, true_trajectory) > LIMIT


def test_an_untied_copy_of_a_tied_head_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    workload = small_workload(tied_head=True)
    truth = run_steps(engine_torch.TorchSession, workload, EAGER)
    session = _mutated_session(
        monkeypatch,
        TORCH_MODEL,
        "return self.model.embed_tokens.weight if",
        "return self.model.embed_tokens.weight.detach() if",
    )
    assert deviation(run_steps(session, workload, EAGER), truth) > LIMIT


def test_a_wrong_mean_over_micro_batches_is_caught(true_trajectory, monkeypatch: pytest.MonkeyPatch) -> None:
    session = _mutated_session(
        monkeypatch, TORCH_ENGINE, "micro_batches * self.rank.world_size", "self.rank.world_size"
    )
    assert deviation(run_steps(session, small_workload(), MICRO), true_trajectory) > LIMIT


def _mutated_session(monkeypatch: pytest.MonkeyPatch, module_name: str, old: str, new: str) -> type:
    """The engine's session class with one line of the engine or of its model replaced."""
    mutant = _mutant(monkeypatch, module_name, old, new)
    if module_name in (TORCH_ENGINE, JAX_ENGINE):
        return mutant.TorchSession if "torch" in module_name else mutant.JaxSession
    if module_name == TORCH_MODEL:
        monkeypatch.setattr(engine_torch, "Llama", mutant.Llama)
    elif module_name == JAX_MODEL:
        monkeypatch.setattr(engine_jax, "llama_jax", mutant)
    else:
        mutant.SMALLEST_BLOCK, mutant.SMALLEST_BLOCK_BYTES = 10, 80  # so that attention has several in float64
        caller, name = PARTS[module_name]
        monkeypatch.setattr(caller, name, getattr(mutant, name))
    return engine_torch.TorchSession if "torch" in module_name else engine_jax.JaxSession


def _mutant(monkeypatch: pytest.MonkeyPatch, module_name: str, old: str, new: str) -> ModuleType:
    spec = importlib.util.find_spec(module_name)
    assert spec is not None
    assert spec.loader is not None
    source = spec.loader.get_source(module_name)
    assert source.count(old) >= 1, f"the mutation's text is gone from {module_name}: {old}"
    mutant = ModuleType(f"{module_name}_mutant")
    mutant.__file__ = spec.origin
    monkeypatch.setitem(sys.modules, mutant.__name__, mutant)
    exec(compile(source.replace(old, new), f"<{module_name} mutant>", "exec"), mutant.__dict__)
    return mutant
