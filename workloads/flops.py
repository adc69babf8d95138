"""Floating-point operations per trained token, under the four conventions in use, side by side.

With N all parameters, M the weights of the matrix products (head included even if tied, embedding
look-up not), L layers, W = heads x head width, T the sequence length; a multiply-add is 2, the
backward pass twice the forward:

    6N                                        6 N
    no-embedding, causal attention            6 M +  6 L W T
    no-embedding, full attention              6 M + 12 L W T
    6N + full attention                       6 N + 12 L W T

6N: Kaplan et al., arXiv 2001.08361. 12 L W T: Chowdhery et al. (PaLM), arXiv 2204.02311, appendix B.
A causal product needs half of it. Norms, rotary embedding, softmax and the optimizer are not counted.
"""

import math

from workloads.shapes import parameter_count, product_shapes
from workloads.spec import Model, Workload

HEADLINE_CONVENTION = "no-embedding, causal attention"
"""Counts the work that must be done and no more."""

FORMULAS = {
    "6N": "6 N",
    HEADLINE_CONVENTION: "6 M + 6 L W T",
    "no-embedding, full attention": "6 M + 12 L W T",
    "6N + full attention": "6 N + 12 L W T",
}


def flops_per_token(workload: Workload) -> dict[str, int]:
    """Floating-point operations of forward and backward for one target token, by convention."""
    model = workload.model
    attention = 6 * model.layers * model.heads * model.head_width * workload.sequence_length
    all_parameters, products = 6 * parameter_count(model), 6 * product_weights(model)
    return {
        "6N": all_parameters,
        HEADLINE_CONVENTION: products + attention,
        "no-embedding, full attention": products + 2 * attention,
        "6N + full attention": all_parameters + 2 * attention,
    }


def product_weights(model: Model) -> int:
    """Weights that enter a matrix product for every token."""
    return sum(count * math.prod(shape) for shape, count in product_shapes(model).items())
