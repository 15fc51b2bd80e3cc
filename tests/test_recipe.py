from pathlib import Path

import pytest

from selfrl.models import TINY_MODEL
from selfrl.presets import PRESETS
from selfrl.recipe import parse_recipe
from selfrl.rewards import ContrastiveAgreementReward, MajorityVoteReward
from selfrl.trainers import GRPOTrainer, NFTTrainer, RLOOTrainer

ROOT = Path(__file__).parent.parent
GPU_RECIPES = sorted(
    path for path in (ROOT / "recipes").glob("*/*.yaml") if "tiny" not in path.stem and path.parent.name != "compare"
)

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


# lr, beta, G, completions a step (prompts x views x G)
PUBLISHED = {
    "co_rewarding_i": (3e-6, 0.005, 8, 128 * 2 * 8),
    "co_rewarding_ii": (3e-6, 0.001, 8, 128 * 8),
    "co_rewarding_iii": (3e-6, 0.001, 8, 128 * 2 * 8),
    "intuitor": (3e-6, 0.005, 7, 128 * 7),
    "rent": (1e-6, 0.001, 5, 64 * 5),
    "nft": (1e-6, 0.0, 16, 512 * 16),
}


@pytest.mark.parametrize("path", GPU_RECIPES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_published_recipes_build_every_configuration(path: Path) -> None:
    plan = parse_recipe([str(path), "--dry_run"])
    config = plan.config
    assert (config.learning_rate, config.beta, config.num_generations, config.generation_batch_size) == PUBLISHED[
        str(plan.recipe.preset)
    ]
    if plan.recipe.preset == "nft":
        updates = config.steps_per_generation / config.gradient_accumulation_steps
        assert (updates, config.max_completion_length, config.weight_decay) == (16, 3584, 0.1)
        assert (config.loss_type, config.prompt_weight, config.negative_weight) == ("dr_grpo", "one_minus_rate", 1)
        assert plan.paired == ("contrastive" in path.stem)
        return
    assert (config.epsilon, config.temperature, config.loss_type) == (0.2, 1.0, "grpo")
    assert (config.max_completion_length, plan.recipe.max_prompt_tokens) == (3072, 512)
    assert plan.recipe.preset == "rent" or (config.lr_scheduler_type, config.warmup_steps) == ("cosine", 0.1)
    assert (plan.teacher is not None) == (plan.recipe.preset in ("co_rewarding_ii", "co_rewarding_iii"))
    assert config.use_vllm


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


def test_presets_state_the_papers_counts() -> None:
    ttrl = PRESETS["ttrl"]
    assert (ttrl["num_generations"], ttrl["num_generations_train"], ttrl["prompts_per_step"]) == (64, 32, 8)
    nft = PRESETS["nft"]
    assert (nft["prompts_per_step"] * nft["updates_per_batch"], nft["num_generations"]) == (512, 16)
    assert (nft["updates_per_batch"], nft["learning_rate"], nft["max_completion_length"]) == (16, 1e-6, 3584)
    assert (PRESETS["srt"]["trainer"], PRESETS["srt"]["num_generations"]) == ("rloo", 32)
