"""One change for every key of the workload schema: the witness on which it shows, and what it moves."""

from types import MappingProxyType

from key_witness import Nudge

EXEMPT = MappingProxyType(
    {
        "name": "a label of results",
        "description": "one line of `workload list`",
        "model.source": "provenance of the shape",
    }
)

NUDGES = MappingProxyType(
    {
        "kind": Nudge("decode", "step"),
        "model": Nudge("shipped_model", "llama2_7b"),
        "model.layers": Nudge("step", "3"),
        "model.q_heads": Nudge("decode", "16"),
        "model.kv_heads": Nudge("decode", "4"),
        "model.head_dim": Nudge("decode", "128"),
        "model.value_dim": Nudge("decode", "32"),
        "model.hidden": Nudge("step", "4096"),
        "model.ffn": Nudge("step", "8192"),
        "model.experts.count": Nudge("experts", "16"),
        "model.experts.active": Nudge("experts", "3"),
        "model.experts.ffn": Nudge("experts", "512"),
        "model.experts.shared_ffn": Nudge("experts", "512"),
        "model.experts.layers": Nudge("experts", "2"),
        "model.latent.q_rank": Nudge("latent_step", "256"),
        "model.latent.key_dim": Nudge("latent_step", "64"),
        "model.latent.value_dim": Nudge("latent_step", "64"),
        "model.gemm_format": Nudge("one_device", "fp8"),
        "model.head_bytes": Nudge("one_device", "4"),
        "model.qk_norm": Nudge("step", "true"),
        "model.vocab": Nudge("step", "50000"),
        "model.attention": Nudge("latent_any_kernel", "gqa"),
        "model.window": Nudge("window", "256"),
        "model.state_dim": Nudge("states", "64"),
        "model.attention_every": Nudge("hybrid", "1"),
        "model.weight_bytes": Nudge("one_device", "4"),
        "model.weights_g": Nudge("step", "7", "kv"),
        "phase": Nudge("prefill", "decode", "error"),
        "batch": Nudge("decode", "3"),
        "context": Nudge("decode", "[512, 256, 300, 100]"),
        "context.uniform": Nudge("uniform", "[100, 300]"),
        "context.trace": Nudge("trace", "no_such_trace", "error"),
        "context.at_s": Nudge("trace", "30"),
        "q_len": Nudge("decode", "4"),
        "causal": Nudge("prefill", "false"),
        "kv_format": Nudge("fp8_e4m3", "int4"),
        "kv_format.hot": Nudge("by_age", "fp8_e4m3"),
        "kv_format.cold": Nudge("by_age", "int4"),
        "kv_format.hot_tokens": Nudge("by_age", "256"),
        "page_tokens": Nudge("decode", "64"),
        "layout": Nudge("decode", "NHD"),
        "page_order": Nudge("decode", "shuffled"),
        "table_layout": Nudge("decode", "two_level"),
        "table_entry_bytes": Nudge("crowded_table", "8"),
        "shared_prefix": Nudge("decode", "256"),
        "kernel": Nudge("decode", "fa2"),
        "mapping": Nudge("as_it_is", "{tile_tokens: 64, stages: 1, splits: 1, ctas_per_sm: 1}"),
        "mapping.tile_tokens": Nudge("decode", "32"),
        "mapping.stages": Nudge("decode", "3"),
        "mapping.splits": Nudge("decode", "1"),
        "mapping.ctas_per_sm": Nudge("registers", "2"),
        "mapping.kv_heads_per_cta": Nudge("many_heads", "2"),
        "l2_state": Nudge("warm", "cold"),
        "launch": Nudge("decode", "none"),
        "runtime": Nudge("step", "eager"),
        "tensor_parallel": Nudge("decode", "2"),
        "tier.name": Nudge("all_in_tier", "cxl"),
        "tier.fraction": Nudge("tiered", "0.25"),
        "tier.policy": Nudge("tiered", "prefetch"),
    }
)
