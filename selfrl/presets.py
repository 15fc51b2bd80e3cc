"""The papers' hyper-parameters, as keyword arguments of this package's configurations.

A preset sets what its paper or its authors' code states, says where TRL cannot carry it, and leaves the rest to TRL.
`prompts_per_step` (prompts or pairs a step) is a recipe's key: the gradient accumulation that gives it follows from the
batch and the number of processes. Prompt texts and data are the recipes'. No preset masks truncated answers: they count
as wrong, as in the papers.
"""

from __future__ import annotations

from typing import Any

_CO_REWARDING = {
    "trainer": "grpo",
    "loss_type": "grpo",
    "scale_rewards": "group",
    "epsilon": 0.2,
    "prompts_per_step": 128,
    "num_generations": 8,
    "num_train_epochs": 3,
    "learning_rate": 3e-6,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 0.1,  # below 1: a share of all steps
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "adam_epsilon": 1e-8,
    "temperature": 1.0,
    "max_prompt_tokens": 512,
    "max_completion_length": 3072,
}

_TTRL_LIKE: dict[str, Any] = {
    "trainer": "grpo",
    "loss_type": "grpo",
    "beta": 0.001,
    "prompts_per_step": 8,
    "num_generations": 32,
    "num_generations_train": 16,
    "learning_rate": 5e-7,
    "temperature": 1.0,
    "max_prompt_tokens": 512,
    "max_completion_length": 3072,
}

PRESETS: dict[str, dict[str, Any]] = {
    # 2508.00410, data side
    "co_rewarding_i": {**_CO_REWARDING, "beta": 0.005, "rewards": {"ContrastiveAgreementReward": {}}},
    # 2508.00410, model side: the teacher's majority labels the policy's rollouts
    "co_rewarding_ii": {
        **_CO_REWARDING,
        "beta": 0.001,
        "rewards": {"MajorityVoteReward": {"voters": "teacher"}},
    },
    # 2508.00410, both sides: the teacher's majority on the paraphrase
    "co_rewarding_iii": {
        **_CO_REWARDING,
        "beta": 0.001,
        "rewards": {"ContrastiveAgreementReward": {"voters": "teacher"}},
    },
    # 2505.19590
    "intuitor": {
        "trainer": "grpo",
        "loss_type": "grpo",
        "beta": 0.005,
        "prompts_per_step": 128,
        "num_generations": 7,
        "learning_rate": 3e-6,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.1,
        "num_train_epochs": 1,
        "max_prompt_tokens": 512,
        "max_completion_length": 3072,
        "rewards": {"SelfCertaintyReward": {}},
    },
    # 2505.22660; the number of epochs is not published
    "rent": {
        "trainer": "grpo",
        "loss_type": "grpo",
        "beta": 0.001,
        "prompts_per_step": 500,
        "num_generations": 5,
        "learning_rate": 1e-6,
        "lr_scheduler_type": "constant",
        "max_prompt_tokens": 1024,
        "max_completion_length": 1024,
        "rewards": {"EntropyReward": {}},
    },
    # 2504.16084: 8 prompts a batch of rollouts, 64 votes and 32 trained completions each, in 8 updates of 32
    # completions; epochs depend on the benchmark that it adapts to
    "ttrl": {
        "trainer": "grpo",
        "loss_type": "grpo",
        "epsilon": 0.2,
        "beta": 0.001,
        "prompts_per_step": 1,
        "updates_per_batch": 8,
        "num_generations": 64,
        "num_generations_train": 32,
        "learning_rate": 5e-7,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.03,
        "temperature": 1.0,
        "max_prompt_tokens": 512,
        "max_completion_length": 3072,
        "rewards": {"MajorityVoteReward": {}},
    },
    # 2505.21444. Not carried: the entropy bonus of .001, which TRL 1.16's RLOO does not have (`entropy_coef` is its
    # GRPO's alone), and the estimator of the KL in the reward (k3 there, the log-ratio k1 in TRL)
    "srt": {
        "trainer": "rloo",
        "beta": 0.001,
        "prompts_per_step": 16,
        "num_generations": 32,
        "num_train_epochs": 1,
        "learning_rate": 1e-6,
        "lr_scheduler_type": "constant",
        "max_prompt_tokens": 1024,
        "max_completion_length": 3072,
        "rewards": {"MajorityVoteReward": {}},
    },
    # 2504.05812; the prompts a step depend on the number of processes there
    "empo": {
        "trainer": "grpo",
        "loss_type": "grpo",
        "beta": 0.0,
        "num_generations": 7,
        "learning_rate": 1e-6,
        "lr_scheduler_type": "constant",
        "max_prompt_tokens": 512,
        "max_completion_length": 2048,
        "rewards": {"SemanticEntropyReward": {}},
    },
    # 2505.18116, Qwen2.5-Math-7B: 512 prompts x 16 rollouts, in 16 updates
    "nft": {
        "trainer": "nft",
        "loss_normalizer": 1000.0,
        "prompt_weight": "one_minus_rate",
        "beta": 0.0,
        "num_generations": 16,
        "prompts_per_step": 32,
        "updates_per_batch": 16,
        "learning_rate": 1e-6,
        "lr_scheduler_type": "constant_with_warmup",
        "warmup_steps": 160,  # 10 batches of rollouts: the authors' schedule steps once a batch, TRL's once an update
        "weight_decay": 0.1,
        "max_grad_norm": 1.0,
        "temperature": 1.0,
        "max_prompt_tokens": 512,
        "max_completion_length": 3584,
        "rewards": {"AccuracyReward": {}},
    },
    # 2510.16416, from the authors' scripts: 512 prompts x 5 rollouts, in 4 updates
    "ssl4rl": {
        "trainer": "grpo",
        "beta": 0.01,
        "num_generations": 5,
        "prompts_per_step": 128,
        "updates_per_batch": 4,
        "learning_rate": 1e-6,
        "lr_scheduler_type": "constant",
        "num_train_epochs": 20,
        "max_prompt_tokens": 1024,
        "max_completion_length": 2048,
        "rewards": {"PretextReward": {}},
    },
    # 2603.19880, from the authors' launch script: 32 vote, the first 16 are trained on. Lengths and the coefficient of
    # the KL term, which is on, are TTRL's
    "scrl": {
        **_TTRL_LIKE,
        "temperature": 0.6,
        "rewards": {
            "SelectiveComplementaryReward": {"consensus": 0.375, "margin": 0.125, "rare": 0.125, "form": "continuous"}
        },
    },
    # 2509.15194: 64 vote and are compared with each other, the first 32 are trained on. Lengths are TTRL's; the authors
    # embed with Qwen3-Embedding-4B (`vectors: sentence-transformers:Qwen/Qwen3-Embedding-4B`)
    "evol_rl": {
        **_TTRL_LIKE,
        "num_generations": 64,
        "num_generations_train": 32,
        "rewards": {"NoveltyReward": {}},
    },
    # 2510.06783: 20 pictures. Lengths and the KL term are TTRL's
    "ttrv": {**_TTRL_LIKE, "num_train_epochs": 2, "rewards": {"SoftVote": {}}},
    # 2506.08745; prompts a step and lengths are not published
    "covo": {
        "trainer": "rloo",
        "beta": 1e-4,
        "num_generations": 16,
        "learning_rate": 5e-7,
        "max_completion_length": 3072,
        "rewards": {"ConsistencyVolatilityReward": {}},
    },
    # 2509.02534; lengths are not published
    "darling": {
        "trainer": "grpo",
        "scale_rewards": "none",
        "num_generations": 8,
        "prompts_per_step": 256,
        "learning_rate": 1e-6,
        "max_completion_length": 3072,
        "rewards": {"DiversityReward": {}},
    },
}
