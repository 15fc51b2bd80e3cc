import dataclasses
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from selfrl.compare.comparison import Comparison
from selfrl.evolve.dpo_training import DPOPlan
from selfrl.evolve.evolve_recipe import EvolveRecipe
from selfrl.models import TINY_MODEL
from selfrl.presets import PRESETS
from selfrl.recipe import Plan, find_recipe, parse_recipe
from selfrl.recipe_keys import Recipe
from selfrl.rewards import ContrastiveAgreementReward, MajorityVoteReward
from selfrl.trainers import GRPOTrainer, NFTTrainer, RLOOTrainer

ROOT = Path(__file__).parent.parent

BASE = """
model_name_or_path: tiny
dataset: tiny
dataset_split: train[:64]
rewards: {MajorityVoteReward: {ties: abstain}}
use_cpu: true
bf16: false
per_device_train_batch_size: 8
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(BASE)
    return path


def test_flags_outrank_the_file_which_outranks_the_preset(recipe: Path) -> None:
    recipe.write_text(
        BASE + "preset: ttrl\nbeta: 0.5\nprompts_per_step: 2\nnum_generations: 8\nnum_generations_train: 4\n"
    )
    config = parse_recipe([str(recipe), "--learning_rate", "0.25"]).config
    assert (config.learning_rate, config.beta, config.temperature) == (0.25, 0.5, 1.0)
    assert config.lr_scheduler_type == "cosine"


def test_rewards_are_built_with_their_arguments(recipe: Path) -> None:
    (reward,) = parse_recipe([str(recipe)]).rewards
    assert isinstance(reward, MajorityVoteReward)
    (reward,) = parse_recipe([str(recipe), "--rewards", '{"ContrastiveAgreementReward": {}}']).rewards
    assert isinstance(reward, ContrastiveAgreementReward)
    (reward,) = parse_recipe([str(recipe), "--rewards", "ContrastiveAgreementReward"]).rewards
    assert isinstance(reward, ContrastiveAgreementReward)


def test_the_trainer_and_the_packaged_model_are_found(recipe: Path) -> None:
    plan = parse_recipe([str(recipe)])
    assert plan.trainer_class is GRPOTrainer
    assert plan.model.model_name_or_path == str(TINY_MODEL)
    assert parse_recipe([str(recipe), "--trainer", "rloo"]).trainer_class is RLOOTrainer


def test_a_contrastive_reward_makes_the_plan_paired(recipe: Path) -> None:
    assert not parse_recipe([str(recipe)]).paired
    assert parse_recipe([str(recipe), "--rewards", "ContrastiveAgreementReward"]).paired
    assert parse_recipe([str(recipe), "--paired", "true"]).paired


@pytest.mark.parametrize(("paired", "steps"), [("false", 4), ("true", 8)])
def test_accumulation_follows_from_prompts_per_step(recipe: Path, paired: str, steps: int) -> None:
    flags = ["--prompts_per_step", "4", "--num_generations", "8", "--paired", paired]
    config = parse_recipe([str(recipe), *flags]).config
    assert (config.gradient_accumulation_steps, config.steps_per_generation) == (steps, steps)
    assert config.generation_batch_size == 8 * steps


@pytest.mark.parametrize(
    ("lines", "flags", "message"),
    [
        ("num_generation: 4", [], "Unknown key `num_generation` in .*: did you mean `num_generations`"),
        (
            "",
            ["--lerning_rate", "1"],
            "Unknown key `lerning_rate` on the command line: did you mean `learning_rate`",
        ),
        ("preset: co_rewardin", [], "Preset 'co_rewardin' is unknown"),
        ("trainer: ppo", [], "Trainer 'ppo' is unknown"),
        ("preset: srt", ["--trainer", "grpo"], "Preset 'srt' is for the trainer 'rloo', not 'grpo'"),
        ("dataset: null", [], "names no data"),
        ("", ["--rewards", "MajorityVote"], "did you mean MajorityVoteReward"),
        ("", ["--rewards", '{"MajorityVoteReward": {"tie": 1}}'], "does not take these arguments"),
        ("", ["--num_generations", "many"], "cannot be read"),
        (
            "",
            ["--prompts_per_step", "1", "--num_generations", "7"],
            "no multiple of per_device_train_batch_size",
        ),
        ("model_name_or_path: null", [], "names no model"),
    ],
)
def test_bad_recipes_end_in_one_sentence(recipe: Path, lines: str, flags: list[str], message: str) -> None:
    recipe.write_text(BASE + lines)
    with pytest.raises(ValueError, match=message) as caught:
        parse_recipe([str(recipe), *flags])
    assert "\n" not in str(caught.value)


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere\.yaml does not exist"):
        parse_recipe([str(tmp_path / "nowhere.yaml")])
    with pytest.raises(ValueError, match="Name a recipe first"):
        parse_recipe([])


STEP_BY_STEP = r"Let's think step by step and output the final answer within \boxed{}."
REASON = r"Please reason step by step, and put your final answer within \boxed{}."


class Numbers(NamedTuple):
    """What a recipe or a preset states; `prompts` are pairs where it is paired, `length` steps or "3 epochs"."""

    lr: float
    schedule: str
    warmup: float
    beta: float
    votes: int
    trained: int
    prompts: int
    updates: int
    prompt_tokens: int | None
    completion_tokens: int
    length: int | str
    system_prompt: str | None = None


def numbers(plan: Plan) -> Numbers:
    config = plan.config
    rows = config.gradient_accumulation_steps * config.per_device_train_batch_size
    assert config.generation_batch_size % rows == 0
    return Numbers(
        config.learning_rate,
        str(config.lr_scheduler_type.value),
        config.warmup_steps,
        config.beta,
        config.num_generations,
        config.num_generations_train or config.num_generations,
        rows // config.num_generations // (2 if plan.paired else 1),
        config.generation_batch_size // rows,
        plan.recipe.max_prompt_tokens,
        config.max_completion_length,
        config.max_steps if config.max_steps > 0 else f"{config.num_train_epochs:g} epochs",
        plan.system_prompt,
    )


CO_REWARDING = Numbers(3e-6, "cosine", 0.1, 0.005, 8, 8, 128, 1, 512, 3072, "3 epochs", STEP_BY_STEP)
NFT = Numbers(1e-6, "constant_with_warmup", 160, 0, 16, 16, 32, 16, 512, 3584, 320, REASON)
SSL4RL = Numbers(1e-6, "constant", 0, 0.01, 5, 5, 128, 4, 1024, 2048, "20 epochs")
SMALLER = SSL4RL._replace(votes=8, trained=8, prompts=32, updates=1)
NFT_TINY = Numbers(3e-5, "constant_with_warmup", 10, 0, 8, 8, 4, 16, 512, 40, 480)
SELF_PLAY = Numbers(3e-5, "constant_with_warmup", 5, 0.02, 8, 8, 16, 1, None, 80, 600)
RECIPES = {
    "co_rewarding/math_qwen3_8b": CO_REWARDING,
    "co_rewarding/dapo_ii_qwen3_8b": CO_REWARDING._replace(beta=0.001),
    "co_rewarding/dapo_iii_qwen3_8b": CO_REWARDING._replace(beta=0.001),
    "co_rewarding/tiny": Numbers(3e-5, "cosine", 0.1, 0.4, 16, 16, 8, 1, None, 40, 80),
    "confidence/intuitor_qwen25_3b": Numbers(3e-6, "cosine", 0.1, 0.005, 7, 7, 128, 1, 512, 3072, "1 epochs", REASON),
    "confidence/rent_qwen25_3b": Numbers(1e-6, "constant", 0, 0.001, 5, 5, 500, 1, 1024, 1024, "1 epochs", REASON),
    "nft/math_qwen25_math_7b": NFT,
    "nft/tiny": NFT_TINY,
    "nft/contrastive_tiny": NFT_TINY._replace(prompts=2),
    "ours/gsm8k_pairs_qwen3_8b": CO_REWARDING,
    "ours/nft_contrastive_qwen25_math_7b": NFT._replace(prompts=16),
    "shopping/tiny": Numbers(3e-5, "linear", 0, 0.1, 8, 8, 16, 1, None, 64, 60),
    **{f"ssl4rl/{task}_qwen25_vl_3b": SSL4RL for task in ("rotation", "jigsaw", "contrastive", "position")},
    "ssl4rl/rotation_smolvlm_256m": SMALLER._replace(completion_tokens=512),
    "ssl4rl/curriculum_qwen25_vl_3b_lora": SMALLER._replace(lr=1e-5),
    "ssl4rl/graph_qwen3_06b": SMALLER,
    "boundary/tiny": Numbers(1e-4, "linear", 0, 0.05, 8, 8, 16, 1, None, 40, 80),
}
PAIRED = {
    "co_rewarding/math_qwen3_8b",
    "co_rewarding/dapo_iii_qwen3_8b",
    "co_rewarding/tiny",
    "nft/contrastive_tiny",
    "ours/gsm8k_pairs_qwen3_8b",
    "ours/nft_contrastive_qwen25_math_7b",
}
COMPARISONS = {
    "compare/tiny": Numbers(3e-5, "constant_with_warmup", 0.1, 0.15, 8, 8, 4, 1, None, 40, 200),
    "compare/quickstart": RECIPES["co_rewarding/tiny"]._replace(length=70),
    "ssl4rl/tiny": Numbers(5e-4, "constant_with_warmup", 10, 0.1, 8, 8, 32, 1, None, 4, 600),
    "compare/self_play": SELF_PLAY,
    "compare/self_play_gate": SELF_PLAY._replace(length=300),
    "compare/self_play_writer": SELF_PLAY,
    "compare/robust_votes": Numbers(3e-5, "constant_with_warmup", 5, 0.1, 8, 8, 8, 1, None, 40, 120),
    "compare/nft": Numbers(3e-5, "constant_with_warmup", 10, 0, 8, 8, 4, 16, None, 40, 480),
}
ONLINE = Numbers(1e-6, "constant", 0, 0.01, 5, 5, 128, 1, None, 2048, 15)
# of `selfrl evolve`: rounds, answers to a prompt, and the solver's training in each round; of DPO its own
EVOLVING: dict[str, tuple[int, int, Numbers | tuple[object, ...]]] = {
    "eva/procedural_tiny": (4, 6, SELF_PLAY._replace(length=30)),
    "eva/evol_tiny": (3, 6, SELF_PLAY._replace(length=30)),
    "eva/gemma2_9b_dpo": (2, 6, (["sigmoid"], 0.05, 5e-7, "cosine", 0.1, 2)),
    "eva/gemma2_9b_rloo": (2, 6, Numbers(5e-7, "cosine", 0.1, 0.05, 4, 4, 128, 1, 2048, 2048, "1 epochs")),
    "eva/majority_qwen3_4b": (4, 8, Numbers(1e-6, "linear", 0, 0.001, 8, 8, 64, 1, 512, 2048, 50)),
    "r_zero/qwen3_4b": (5, 10, ONLINE),
    "absolute_zero/qwen25_7b": (
        20,
        8,
        ONLINE._replace(beta=0, votes=8, trained=8, prompts=64, completion_tokens=4096, length=5),
    ),
}
# of methods without a recipe: no data, so no prompt text
PRESET_NUMBERS = {
    "ttrl": Numbers(5e-7, "cosine", 0.03, 0.001, 64, 32, 1, 8, 512, 3072, "3 epochs"),  # TRL's number of epochs
    "srt": Numbers(1e-6, "constant", 0, 0.001, 32, 32, 16, 1, 1024, 3072, "1 epochs"),
    "scrl": Numbers(5e-7, "linear", 0, 0.001, 32, 16, 8, 1, 512, 3072, "3 epochs"),
    "evol_rl": Numbers(5e-7, "linear", 0, 0.001, 64, 32, 8, 1, 512, 3072, "3 epochs"),
    "ttrv": Numbers(5e-7, "linear", 0, 0.001, 32, 16, 8, 1, 512, 3072, "2 epochs"),
    "darling": Numbers(1e-6, "linear", 0, 0, 8, 8, 256, 1, None, 3072, "3 epochs"),
}


def planned(name: str, *flags: str) -> Plan:
    """A dry run; recipes of two stages get model and data from their script."""
    extra = (
        [] if name.split("/")[0] not in ("shopping", "boundary") else ["--model_name_or_path=tiny", "--dataset=tiny"]
    )
    return parse_recipe([f"recipes/{name}.yaml", "--dry_run", *extra, *flags])


def test_every_recipe_is_in_the_tables() -> None:
    files = {f"{path.parent.name}/{path.stem}" for path in (ROOT / "recipes").glob("*/*.yaml")}
    assert files == RECIPES.keys() | COMPARISONS.keys() | EVOLVING.keys()


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_state_their_documented_numbers(name: str) -> None:
    plan = planned(name)
    assert numbers(plan) == RECIPES[name]
    assert plan.config.temperature == 1.0
    assert plan.paired == any(
        part in name for part in ("math_qwen3", "_iii_", "co_rewarding/tiny", "pairs", "nft/contrast", "nft_contrast")
    )
    assert (plan.teacher is not None) == (plan.recipe.preset in ("co_rewarding_ii", "co_rewarding_iii"))
    if plan.teacher is not None:
        assert (plan.teacher.teacher_weight_start, plan.teacher.teacher_weight_end) == (0.01, 1e-5)
    if plan.recipe.preset == "nft":
        assert (plan.config.prompt_weight, plan.config.negative_weight) == ("one_minus_rate", 1)
        assert (plan.config.weight_decay, plan.config.max_grad_norm) == (0.1, 1.0)
        assert plan.config.loss_normalizer == (None if "tiny" in name else 1000.0)
    else:
        loss = "dapo" if name.startswith("ssl4rl") else "grpo"  # TRL's default is a mean over tokens, as verl's
        assert (plan.config.loss_type, plan.config.epsilon, plan.config.scale_rewards) == (loss, 0.2, "group")
    if plan.recipe.preset is not None and plan.recipe.preset.startswith("co_rewarding"):
        assert (plan.config.adam_beta1, plan.config.adam_beta2, plan.config.adam_epsilon) == (0.9, 0.999, 1e-8)
    assert plan.config.use_vllm == ("tiny" not in name)


def test_what_is_ours_says_so_in_its_first_line() -> None:
    for path in (ROOT / "recipes" / "ours").glob("*.yaml"):
        assert path.read_text().startswith("# Ours: ")


@pytest.mark.parametrize("name", COMPARISONS)
def test_every_arm_of_a_comparison_has_its_documented_numbers(name: str, tmp_path: Path) -> None:
    comparison = Comparison.read(find_recipe(f"recipes/{name}.yaml"))
    for arm, keys in comparison.arms.items():
        path = tmp_path / f"{arm}.yaml"
        start = {"model_name_or_path": "tiny", "dataset": "tiny"} if name.startswith("ssl4rl") else {}
        start |= {"model_name_or_path": "tiny"} if name.startswith(("compare/self_play", "compare/robust")) else {}
        path.write_text(yaml.safe_dump({**comparison.shared, **keys, **start}))
        beta = 0 if arm == "rlsc" else COMPARISONS[name].beta  # it has no KL term
        assert numbers(parse_recipe([str(path), "--dry_run"])) == COMPARISONS[name]._replace(beta=beta)


@pytest.mark.parametrize("name", EVOLVING)
def test_evolving_recipes_state_their_documented_numbers(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    keys = yaml.safe_load(find_recipe(f"recipes/{name}.yaml").read_text())
    start = {"model_name_or_path": "tiny"} if name.endswith("tiny") else {}
    path.write_text(yaml.safe_dump({**keys, **start}))
    recipe = EvolveRecipe.read(path, dry_run=True)
    rounds, samples, expected = EVOLVING[name]
    assert (recipe.settings.rounds, recipe.settings.samples) == (rounds, samples)
    config = recipe.plan.config
    if isinstance(recipe.plan, DPOPlan):
        schedule = (str(config.lr_scheduler_type.value), config.warmup_steps, config.num_train_epochs)
        assert (config.loss_type, config.beta, config.learning_rate, *schedule) == expected
    else:
        assert numbers(recipe.plan) == expected


@pytest.mark.parametrize("name", PRESET_NUMBERS)
def test_presets_without_a_recipe_state_their_numbers(name: str, recipe: Path) -> None:
    recipe.write_text(BASE.replace("{ties: abstain}", "{}"))
    assert numbers(parse_recipe([str(recipe), "--preset", name])) == PRESET_NUMBERS[name]


def test_empo_states_what_its_paper_does(recipe: Path) -> None:
    """Its prompts a step are not published."""
    config = parse_recipe([str(recipe), "--preset=empo", "--per_device_train_batch_size=7"]).config
    assert (config.learning_rate, config.lr_scheduler_type, config.beta) == (1e-6, "constant", 0)
    assert (config.num_generations, config.max_completion_length) == (7, 2048)
    assert PRESETS["empo"]["max_prompt_tokens"] == 512


@pytest.mark.parametrize("model", ["Qwen/Qwen3-4B-Base", "meta-llama/Llama-3.2-3B-Instruct"])
def test_the_published_models_are_a_flag(model: str) -> None:
    for name in ("math_qwen3_8b", "dapo_ii_qwen3_8b"):
        assert model in (ROOT / "recipes" / "co_rewarding" / f"{name}.yaml").read_text()
        assert planned(f"co_rewarding/{name}", f"--model_name_or_path={model}").model.model_name_or_path == model


def test_a_teacher_comes_with_a_reward_that_listens_or_by_itself(recipe: Path) -> None:
    assert parse_recipe([str(recipe)]).teacher is None
    assert parse_recipe([str(recipe), "--teacher", "true"]).teacher is not None
    listening = '{"MajorityVoteReward": {"voters": "teacher"}}'
    plan = parse_recipe([str(recipe), "--rewards", listening, "--teacher_weight_start", "0.5"])
    assert plan.teacher is not None
    assert plan.teacher.teacher_weight_start == 0.5
    with pytest.raises(ValueError, match="did you mean `teacher_weight_start`"):
        parse_recipe([str(recipe), "--teacher_weigth_start", "0.5"])


def test_a_batch_is_split_into_updates_of_whole_prompts(recipe: Path) -> None:
    flags = ["--preset=nft", "--prompts_per_step=2", "--updates_per_batch=3", "--num_generations=8"]
    plan = parse_recipe([str(recipe), *flags, "--per_device_train_batch_size=4"])
    assert plan.trainer_class is NFTTrainer
    assert plan.config.gradient_accumulation_steps * 4 == 2 * 8
    assert plan.config.generation_batch_size == 3 * 2 * 8
    assert plan.config.steps_per_generation == 3 * plan.config.gradient_accumulation_steps
    with pytest.raises(ValueError, match="updates_per_batch is 3: it must be 1 or more, and needs prompts_per_step"):
        parse_recipe([str(recipe), "--updates_per_batch=3"])
    with pytest.raises(ValueError, match="updates_per_batch is 0"):
        parse_recipe([str(recipe), *flags[:2], "--updates_per_batch=0"])


def test_a_plan_cannot_be_changed_but_replaced(recipe: Path) -> None:
    plan = parse_recipe([str(recipe)])
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.rewards = ()  # type: ignore[misc]
    assert dataclasses.replace(plan, paired=True).paired
    assert not plan.paired


def test_a_recipe_reads_nothing_from_disk() -> None:
    made = Recipe("nowhere.jsonl", "MajorityVoteReward", prompt="nowhere", prompt_every=3)
    assert made.reward_arguments == {"MajorityVoteReward": {}}


def test_flags_may_be_written_in_every_way_of_argparse(recipe: Path) -> None:
    recipe.write_text(BASE + "log_completions: true\ngradient_checkpointing: true\n")
    flags = [
        "--learning-rate=1e-4",
        "--log_completions",
        "false",
        "--no_gradient_checkpointing",
        "--reward_weights",
        "2",
    ]
    config = parse_recipe([str(recipe), *flags]).config
    assert (config.learning_rate, config.log_completions, config.gradient_checkpointing) == (1e-4, False, False)
    assert config.reward_weights == [2.0]


def test_flags_of_another_trainer_are_unknown(recipe: Path) -> None:
    assert parse_recipe([str(recipe), "--trainer=nft", "--negative_weight=0"]).config.negative_weight == 0
    with pytest.raises(ValueError, match="Unknown key `negative_weight` on the command line"):
        parse_recipe([str(recipe), "--negative_weight=0"])
    with pytest.raises(ValueError, match="'stray' belongs to no flag"):
        parse_recipe([str(recipe), "--seed", "1", "stray"])
