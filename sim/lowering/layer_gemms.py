"""Which GEMMs a transformer layer is on one device of a tensor-parallel group, and what its weights are.

Query heads and inner widths are shared out. KV heads are too, as far as they go round; where there are fewer of them
than devices each device has one and its weights (Megatron-LM, vLLM). Latent attention (MLA) multiplies the queries by
the key's up-projection and the output by the value's instead of expanding the cache (DeepSeek-V2, arXiv:2405.04434,
section 2.1); its down-projections are on every device. Of experts each device has its share of every one.

A state-space layer has two products (Mamba-2, arXiv:2405.21060, section 7): one for its gate, its inputs, B and C of
one group and a step size per head, one out of it. Where a model's `ffn` is 0 its layers have no feed-forward block.

The experts that some token passes are read from memory, the others are not: tokens choose independently and evenly
here, which touches count (1 - (1 - active / count)^tokens) of them on average.
"""

from sim.config.workload import Experts, LatentProjections, Model
from sim.lowering.gemm import Gemm

Counted = tuple[Gemm, int]
"""A GEMM, and the layers that have it."""
MANY_TOKENS = 1 << 30
"""Tokens that touch every expert, however many there are."""


def layer_gemms(model: Model, tokens: int, parallel: int) -> list[Counted]:
    """All GEMMs of all layers for `tokens` new tokens, in the order of a layer."""
    attending, dense = attention_layers(model), dense_blocks(model)
    states = model.layers - attending
    parts = [(gemm, attending) for gemm in attention_gemms(model, tokens, parallel)] if attending else []
    if states:
        parts += [(gemm, states) for gemm in state_gemms(model, tokens, parallel)]
    if dense:
        parts += [(gemm, dense) for gemm in block_gemms(model, model.ffn, tokens, parallel)]
    if model.experts is not None:
        found = expert_gemms(model, model.experts, tokens, parallel)
        parts += [(gemm, model.experts.layers) for gemm in found]
    return parts


def attention_layers(model: Model) -> int:
    """Layers with attention; the others are state-space layers."""
    return 0 if model.attention == "ssm" else model.layers // model.attention_every


def dense_blocks(model: Model) -> int:
    """Layers with a feed-forward block of `ffn`."""
    return model.layers - (model.experts.layers if model.experts else 0) if model.ffn else 0


def feed_forward_layers(model: Model) -> int:
    """Layers with a feed-forward block, of experts or not."""
    return dense_blocks(model) + (model.experts.layers if model.experts else 0)


def state_gemms(model: Model, tokens: int, parallel: int) -> list[Gemm]:
    """The projections into and out of a state-space layer; every device has all of B and C."""
    heads = -(-model.q_heads // parallel)
    inner = heads * model.head_dim
    columns = 2 * inner + 2 * (model.state_dim or 0) + heads
    return [Gemm("state_in", tokens, columns, model.hidden), Gemm("state_out", tokens, model.hidden, inner)]


def attention_gemms(model: Model, tokens: int, parallel: int) -> list[Gemm]:
    """The projections into and out of attention."""
    if model.attention == "mla" and model.latent is not None:
        return latent_gemms(model, model.latent, tokens, parallel)
    kv_heads = max(model.kv_heads / parallel, 1)
    value_dim = model.value_dim or model.head_dim
    columns = round(model.q_heads / parallel * model.head_dim + kv_heads * (model.head_dim + value_dim))
    out = -(-model.q_heads * value_dim // parallel)
    return [Gemm("qkv", tokens, columns, model.hidden), Gemm("out", tokens, model.hidden, out)]


def latent_gemms(model: Model, latent: LatentProjections, tokens: int, parallel: int) -> list[Gemm]:
    """Those of MLA, with the up-projections of keys and values taken into queries and outputs, a product per head."""
    width = model.value_dim or model.head_dim
    heads = -(-model.q_heads // parallel)
    query = heads * (latent.key_dim + model.head_dim - width)
    if latent.q_rank is None:
        into = [
            Gemm("kv_down", tokens, model.head_dim, model.hidden),
            Gemm("q", tokens, query, model.hidden),
        ]
    else:
        into = [
            Gemm("q_kv_down", tokens, latent.q_rank + model.head_dim, model.hidden),
            Gemm("q_up", tokens, query, latent.q_rank),
        ]
    return [
        *into,
        Gemm("key_up", tokens, width, latent.key_dim, groups=heads),
        Gemm("value_up", tokens, latent.value_dim, width, groups=heads),
        Gemm("out", tokens, model.hidden, heads * latent.value_dim),
    ]


def block_gemms(model: Model, ffn: int, tokens: int, parallel: int) -> list[Gemm]:
    """A gated feed-forward block of inner width `ffn`."""
    return [
        Gemm("gate_up", tokens, -(-2 * ffn // parallel), model.hidden),
        Gemm("down", tokens, model.hidden, -(-ffn // parallel)),
    ]


def touched_experts(experts: Experts, tokens: int) -> int:
    """Experts of a layer that at least one of `tokens` passes, on average."""
    missed = (1 - experts.active / experts.count) ** tokens
    return max(experts.active, round(experts.count * (1 - missed)))


def expert_gemms(model: Model, experts: Experts, tokens: int, parallel: int) -> list[Gemm]:
    """The router, the grouped GEMMs of the experts that are touched, and the shared block."""
    groups, rows = touched_experts(experts, tokens), tokens * experts.active
    each, inner = -(-rows // groups), -(-experts.ffn // parallel)
    parts = [
        Gemm("router", tokens, experts.count, model.hidden),
        Gemm("experts_gate_up", each, 2 * inner, model.hidden, groups=groups, rows_in_all=rows),
        Gemm("experts_down", each, model.hidden, inner, groups=groups, rows_in_all=rows),
    ]
    return parts + (block_gemms(model, experts.shared_ffn, tokens, parallel) if experts.shared_ffn else [])


def head(model: Model, sequences: int, parallel: int) -> Gemm:
    """The vocabulary projection, once a step, for the last token of each sequence."""
    return Gemm("head", sequences, -(-model.vocab // parallel), model.hidden)


def head_of(model: Model) -> Model:
    """The model as its head is multiplied: in the head's own format."""
    if model.head_bytes == model.weight_bytes:
        return model
    return model.model_copy(update={"weight_bytes": model.head_bytes, "gemm_format": None})


def ffn_width(model: Model) -> float:
    """Inner values of a token in a feed-forward block, of all the experts that it passes together: mean over blocks."""
    if model.experts is None:
        return model.ffn
    e = model.experts
    mixed = e.active * e.ffn + e.shared_ffn
    return (dense_blocks(model) * model.ffn + e.layers * mixed) / feed_forward_layers(model)


def weight_count(model: Model) -> int:
    """Weights of all layers with all of their experts, and of both ends of the vocabulary."""
    total = 2 * model.vocab * model.hidden
    for gemm, layers in layer_gemms(model, MANY_TOKENS, 1):
        total += layers * gemm.groups * gemm.n * gemm.k
    return total
