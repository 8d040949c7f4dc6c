"""Builds the causal language models of transformers small: default configurations, shrunk; random weights."""

from __future__ import annotations

from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

SPREAD = 0.2
"""Of the weights: wide, so that what a token sees before it changes much."""

LAYERS = 4
"""Enough for every kind of layer that a hybrid model has."""

VALUES = {
    1: """
        n_group topk_group num_expert_group first_k_dense_replace num_dense_layers o_groups mamba_n_groups
        n_groups moe_layer_start_index n_langs mamba_ngroups num_mem_blocks
    """,
    2: """
        num_key_value_heads num_kv_heads num_experts_per_tok num_experts_per_token moe_topk moe_k
        linear_num_key_heads num_query_groups swa_num_key_value_heads attn_layer_period n_mamba_heads
        num_kv_shared_layers hc_lowrank heads_per_ngram index_topk_blocks
    """,
    LAYERS: """
        num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers num_encoder_layers
        num_decoder_layers num_blocks max_window_layers moe_layer_end_index num_attention_heads n_head
        n_heads num_heads attention_heads index_n_heads encoder_attention_heads decoder_attention_heads
        num_encoder_attention_heads linear_num_heads num_decoder_attention_heads swa_num_attention_heads
        linear_num_value_heads rotary_dim num_experts num_local_experts n_routed_experts moe_num_experts
        zero_expert_num mamba_dt_rank time_step_rank global_attn_every_n_layers conv_L_cache
        split_ngram_parts
    """,
    8: """
        head_dim d_kv dim_head attention_head_dim swa_head_dim qk_rope_head_dim kv_channels
        linear_key_head_dim linear_value_head_dim linear_head_dim mamba_d_head mamba_head_dim mamba_n_heads
        mamba_num_heads mamba_d_state state_size ssm_state_size mamba_headdim laurel_rank
        hidden_size_per_layer_input d_head attention_head_size qk_nope_head_dim v_head_dim gated_norm_rank
        adapter_rank d_rel num_buckets prompt_types prompt_length
    """,
    16: """
        sliding_window attention_chunk_size index_topk index_head_dim chunk_size q_lora_rank kv_lora_rank
        mamba_chunk_size window_size local_attention sliding_window_size block_size o_lora_rank qk_head_dim
        attention_window_size router_hidden_size rel_extent chunk_length index_block_size
        expert_ffn_hidden_size moe_intermediate_size shared_intermediate_size
        shared_expert_intermediate_size moe_shared_expert_intermediate_size dim_model_base
    """,
    32: """
        hidden_size d_model n_embd embedding_size emb_dim embedding_dim lru_width attention_hidden_size
        word_embed_proj_dim input_embedding_size output_embedding_size pronunciation_embed_dim
        shape_embed_dim ple_embed_dim
    """,
    64: """
        intermediate_size ffn_dim encoder_ffn_dim decoder_ffn_dim d_ff dim_ff dff n_inner ffn_hidden_size
        intermediate_size_mlp dense_intermediate_size mamba_d_ssm d_inner feed_forward_size
        shared_experts_intermediate_size
    """,
    128: """
        vocab_size vocab_size_per_layer_input unpadded_vocab_size ngram_vocab_size_base shape_vocab_size
        pronunciation_vocab_size
    """,
    256: """
        max_position_embeddings n_positions n_ctx max_seq_len context_length model_max_length
        max_source_positions max_target_positions
    """,
}
"""What sizes are called, by what they become."""

NUMBERS = {name: value for value, names in VALUES.items() for name in names.split()}

HYBRID = ["linear_attention", "full_attention"] * (LAYERS // 2)

SPECIAL: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1, 3]},
    "blenderbot": {"encoder_layers": LAYERS},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "dots1": {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1},
    "dots3_note": {"num_key_value_heads": 4},
    "dots3_note_text": {"num_key_value_heads": 4},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "granitemoehybrid": {"layer_types": HYBRID},
    "jamba": {"attn_layer_offset": 1, "num_experts": 2},
    "lfm2": {"layer_types": ["conv", "full_attention"] * (LAYERS // 2)},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * (LAYERS // 2)},
    "mamba2": {"head_dim": 8, "num_heads": 8},
    "nemotron": {"num_key_value_heads": 2},
    "reformer": {"axial_pos_embds": False},
    "xmod": {"default_language": "en_XX"},
    "zamba": {"attention_hidden_size": 64, "attention_head_dim": 16, "num_key_value_heads": 4},
    "zamba2": {
        "attention_hidden_size": 64,
        "attention_head_dim": 16,
        "num_key_value_heads": 4,
        "mamba_headdim": 32,
    },
}
"""What else single types need, to be consistent when they are small, or to have what makes them special."""


def model_types() -> list[str]:
    """All types that `AutoModelForCausalLM` knows."""
    return sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def build(model_type: str) -> PreTrainedModel:
    """A model of this type for texts of up to 256 tokens out of 128, with the same random weights each time.

    Raises:
        Exception: whatever its classes raise if it cannot be built at such sizes.
    """
    config_class = CONFIG_MAPPING[model_type]
    small = _shrunk(config_class(), model_type)
    torch.manual_seed(0)
    network: PreTrainedModel = AutoModelForCausalLM.from_config(config_class(**small)).eval()
    return network


def _shrunk(config: PreTrainedConfig, model_type: str) -> dict[str, Any]:
    small: dict[str, Any] = {}
    for name, value in config.to_dict().items():
        if name in config.sub_configs and value is not None:
            part = getattr(config, name)
            small[name] = _shrunk(part, part.model_type)
        elif isinstance(value, list) and name in ("layer_types", "mlp_layer_types", "layers_block_type"):
            small[name] = _kinds(value)
        elif name.endswith("_token_id") and isinstance(value, int):
            small[name] = min(value, 3)
        elif name in NUMBERS and isinstance(value, int) and not isinstance(value, bool):
            small[name] = min(value, NUMBERS[name])
        elif name == "head_dim" and value is None:
            small[name] = NUMBERS[name]
        elif name in ("initializer_range", "init_std"):
            small[name] = SPREAD
        elif name == "is_decoder":
            small[name] = True
    if "kv_lora_rank" in small:  # every head has keys of its own, made from the same few numbers
        small["num_key_value_heads"] = LAYERS
    return small | SPECIAL.get(model_type, {})


def _kinds(kinds: list[str]) -> list[str]:
    """As many layers as there will be, with every kind among them."""
    return (list(dict.fromkeys(kinds)) * LAYERS)[:LAYERS]
