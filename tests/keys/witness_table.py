"""The witnesses: four SMs before one or a few memory stacks, and batches of a few hundred tokens."""

from pathlib import Path
from types import MappingProxyType

from key_witness import Witness

SMALL_CHIP = (
    "hw.sm.count=4",
    "hw.hbm.stacks=1",
    "hw.l2.capacity_mib=1",
    "hw.l2.slices=8",
    "hw.noc.far_extra_ns=20",
)
SHAPE = (
    "layers: 2, q_heads: 8, kv_heads: 2, head_dim: 64, hidden: 512, ffn: 1024, vocab: 1000, weights_g: null"
)
SMALL_BATCH = (
    f"workload.model={{{SHAPE}}}",
    "workload.batch=4",
    "workload.context=512",
    "workload.page_tokens=16",
)
CUT = "workload.mapping={tile_tokens: 64, stages: 2, splits: 2, ctas_per_sm: 1}"

AS_IT_IS = Witness((*SMALL_CHIP, *SMALL_BATCH, "workload.kernel=fa3"))
DECODE = AS_IT_IS.but(CUT)
LATENT = AS_IT_IS.but(
    "workload.kernel=flashmla",
    "workload.model={layers: 2, q_heads: 16, kv_heads: 1, head_dim: 96, value_dim: 64, hidden: 512, ffn: 512,"
    " vocab: 1000, attention: mla}",
)
STEP = DECODE.but("workload.kind=step", "workload.tensor_parallel=2")
FOUR_CTAS = AS_IT_IS.but(
    "workload.mapping={tile_tokens: 64, stages: 2, splits: 8, ctas_per_sm: 4}",
    "workload.kernel=register_decode",
)
DIRECT_MMA = DECODE.but(f"workload.kernel={Path(__file__).with_name('direct_mma.yaml')}")
TLB = DECODE.but("hw.tlb.page_kib=4", "hw.tlb.l1_entries=2", "hw.tlb.l2_entries=16", "hw.tlb.walkers=1")
ASSIST = DECODE.but("hw.translation.assist=true", "workload.kernel=flashinfer")
TIGHT_ASSIST = ASSIST.but(
    "hw.translation.sm_entries=16", "hw.translation.shared_entries=16", "hw.translation.walkers=1"
)
WARM = DECODE.but("workload.l2_state=warm", "hw.l2.capacity_mib=2", "hw.l2.effective_fraction=1")
CROWDED = WARM.but("hw.l2.capacity_mib=0.25", "workload.shared_prefix=256")
TIERED = Witness(
    (*SMALL_CHIP, *SMALL_BATCH, "workload.kernel=fa3", CUT, "workload.tier={name: host, fraction: 0.5}"),
    hardware="h200_tiered",
)
CHIPLETS = Witness(
    (
        "hw.sm.count=8",
        "hw.hbm.stacks=1",
        "hw.l2.partitions=2",
        "hw.l2.slices=8",
        "hw.l2.capacity_mib=0.25",
        "hw.llc.capacity_mib=1",
        "hw.llc.bandwidth_gb_s=500",
        "workload.l2_state=warm",
        *SMALL_BATCH,
        "workload.kernel=register_decode",
        "workload.mapping={tile_tokens: 64, stages: 1, splits: 2, ctas_per_sm: 1}",
    ),
    hardware="mi300x",
)
MICRO = {
    f"micro_{name}": Witness((*SMALL_CHIP, *sets), workload=f"micro_{workload}")
    for name, workload, sets in (
        ("read", "stream_read", ("workload.footprint_mib=0.5",)),
        ("gather", "gather", ("workload.run_bytes=64",)),
        ("inflight", "inflight", ("workload.inflight_kib=1",)),
    )
}

WITNESSES = MappingProxyType(
    {
        "decode": DECODE,
        "as_it_is": AS_IT_IS,
        "queue": DECODE.but("workload.mapping.splits=4"),
        "ragged_queue": DECODE.but("workload.context={uniform: [128, 512]}", "workload.mapping.splits=4"),
        "many_sequences": DECODE.but("hw.sm.count=48", "workload.batch=96", "workload.context=64"),
        "short": AS_IT_IS.but("workload.batch=1"),
        "long": AS_IT_IS.but("workload.batch=1", "workload.context=2048"),
        "single_tokens": AS_IT_IS.but("workload.batch=1", "workload.context=8192", "workload.page_tokens=1"),
        "cluster": AS_IT_IS.but(
            *("hw.sm.gpc_sms=[4]", "hw.sm.mma_instructions=[]"),
            *("workload.batch=1", "workload.context=1024", "workload.kernel=trtllm_gen"),
        ),
        "any_kernel": Witness((*SMALL_CHIP, *SMALL_BATCH)),
        "four_ctas": FOUR_CTAS,
        "registers_mma": DECODE.but("workload.kernel=fa2"),
        "registers": DECODE.but("workload.kernel=register_decode"),
        "no_async_copy": DECODE.but("workload.kernel=register_decode", "hw.sm.async_copy=none"),
        "tensor_memory": FOUR_CTAS.but("hw.sm.tmem_kib=256"),
        "large_sram": AS_IT_IS.but("hw.sm.sram_kib=512"),
        "stream": DECODE.but("workload.launch=stream"),
        "partitions": DECODE.but("hw.l2.partitions=2"),
        "private": CHIPLETS.but("hw.l2.private=false"),
        "chiplets": CHIPLETS,
        "few_mshrs": DECODE.but("hw.l2.mshrs_per_slice=4"),
        "adaptive_rows": DECODE.but("hw.hbm.page_policy=adaptive"),
        "starved_rows": DECODE.but(
            "hw.hbm.interleave_bytes=128", "hw.hbm.hash=false", "workload.kernel=flashinfer"
        ),
        "short_queue": DECODE.but("hw.hbm.queue_depth=2"),
        "warm": WARM,
        "crowded": CROWDED,
        "crowded_table": TIGHT_ASSIST.but("hw.l2.capacity_mib=0.0625"),
        "pinned_prefix": CROWDED.but("hw.l2.residency.shared_prefix=pin"),
        "tlb": TLB,
        "assist": ASSIST,
        "tight_assist": TIGHT_ASSIST,
        "descriptors": DECODE.but("workload.kernel=register_decode"),
        "gather": DECODE.but("hw.gather.engine=true"),
        "bf16": DECODE.but("workload.kv_format=bf16"),
        "fp8_direct": DECODE.but("workload.kv_format=fp8_e4m3", "workload.kernel=fa3_fp8"),
        "int8_direct": DIRECT_MMA.but("workload.kv_format=int8"),
        "fp4_direct": DIRECT_MMA.but("workload.kv_format=nvfp4", "hw.sm.tensor_flop_per_clk.fp4=4096"),
        **{
            fmt: DECODE.but(f"workload.kv_format={fmt}", "workload.kernel=mixed_decode")
            for fmt in ("fp8_e4m3", "fp8_e5m2", "int8", "int4", "mxfp4", "nvfp4")
        },
        "native_int4": DECODE.but(
            "workload.kv_format=int4",
            "workload.kernel=mixed_decode",
            "hw.unpack.native=[int4]",
            "hw.unpack.native_values_per_clk=32",
        ),
        "prefill": AS_IT_IS.but("workload.phase=prefill", "workload.kernel=fa3_prefill", "workload.batch=2"),
        "short_of_sram": AS_IT_IS.but("workload.phase=prefill", "workload.batch=2", "hw.sm.sram_kib=48"),
        "verify": AS_IT_IS.but("workload.phase=verify", "workload.q_len=8"),
        "step": STEP,
        "prefill_step": AS_IT_IS.but(
            "workload.kind=step", "workload.phase=prefill", "workload.kernel=fa3_prefill", "workload.batch=2"
        ),
        "one_device": STEP.but("workload.tensor_parallel=1"),
        "latent": LATENT,
        "latent_step": LATENT.but(
            "workload.kind=step",
            "workload.tensor_parallel=1",
            "workload.model.latent={q_rank: 128, key_dim: 32, value_dim: 32}",
        ),
        "experts": STEP.but(
            "workload.model.experts={count: 8, active: 2, ffn: 256, shared_ffn: 256, layers: 1}"
        ),
        "latent_three": LATENT.but("workload.batch=3"),
        "latent_any_kernel": LATENT.but("workload.kernel=auto"),
        "window": DECODE.but("workload.model.attention=window", "workload.model.window=128"),
        "states": Witness(
            (*SMALL_CHIP, *SMALL_BATCH, "workload.model.attention=ssm", "workload.model.state_dim=32")
        ),
        "hybrid": STEP.but(
            "workload.model.attention=hybrid",
            "workload.model.state_dim=32",
            "workload.model.attention_every=2",
            "workload.kernel=auto",
            "workload.tensor_parallel=1",
        ),
        "shipped_model": AS_IT_IS.but("workload.model=llama3_8b", "workload.batch=2", "workload.context=256"),
        "uniform": DECODE.but("workload.context={uniform: [256, 512]}"),
        "trace": DECODE.but("workload.context={trace: sample_chat, at_s: 60}", "workload.batch=2"),
        "by_age": DECODE.but(
            "workload.kv_format={hot: fp16, cold: int8, hot_tokens: 128}", "workload.kernel=mixed_decode"
        ),
        "many_heads": DECODE.but("workload.mapping.kv_heads_per_cta=1"),
        "tiered": TIERED,
        "all_in_tier": TIERED.but("workload.tier.fraction=1"),
        "ssd": TIERED.but("workload.tier.name=ssd", "workload.tier.fraction=0.3"),
        "cxl": TIERED.but("workload.tier.name=cxl"),
        **MICRO,
        "shallow_tier": TIERED.but("hw.tiers.host.queue_depth=2", "workload.tier.policy=prefetch"),
    }
)
