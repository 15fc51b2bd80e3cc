"""Roles: shared back ends, defaults, and what is refused before anything is opened."""

import os

import pytest
from scripted import Scripted

from selfrl.generation import seed_of
from selfrl.generation.endpoint import EndpointGenerator
from selfrl.generation.hf import TransformersGenerator
from selfrl.prompting.roles import Role, RoleSpec, Usage, open_roles


def test_roles_with_the_same_back_end_share_it() -> None:
    local, address = RoleSpec("tiny"), "http://127.0.0.1:9/v1"
    roles = open_roles(
        {
            "optimizer": local,
            "executor": RoleSpec("tiny", temperature=0.5),
            "evaluator": RoleSpec("m", "endpoint", address),
        },
        concurrency=3,
    )
    assert roles["optimizer"].generator is roles["executor"].generator
    assert isinstance(roles["optimizer"].generator, TransformersGenerator)
    assert isinstance(roles["evaluator"].generator, EndpointGenerator)
    assert roles["evaluator"].generator.concurrency == 3
    assert [role.temperature for role in roles.values()] == [0.7, 0.5, 0.3]


def test_the_results_name_the_model_and_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFRL_TEST_KEY", "sk-very-secret")
    spec = RoleSpec("m", "endpoint", "http://127.0.0.1:9/v1", "SELFRL_TEST_KEY")
    facts = open_roles({"executor": spec})["executor"].facts()
    assert facts["api_key_env"] == "SELFRL_TEST_KEY"
    assert "sk-very-secret" not in str(facts)
    assert RoleSpec(**facts) == RoleSpec(**{**vars(spec), "temperature": 0.0})


def test_a_call_is_counted_with_its_tokens_and_cost() -> None:
    role = Role(Scripted(fails=lambda name, prompt, number: number == 2), price_in=2.0, price_out=8.0)
    asked = [[{"role": "system", "content": "quality 1"}, {"role": "user", "content": f"q{i}"}] for i in range(3)]
    replies, usage = role.ask(asked, seed=1)
    assert [reply is None for reply in replies] == [False, True, False]
    assert usage == Usage(3, 1, 20, 4, (20 * 2 + 4 * 8) / 1e6)
    assert usage + Usage(1, 0, 1, 1, 1.0) == Usage(4, 1, 21, 5, usage.cost + 1.0)


def test_seeds_differ_by_role_and_round() -> None:
    seeds = {seed_of(s, role, r) for s in range(3) for role in ("optimizer", "evaluator") for r in range(9)}
    assert len(seeds) == 54
    assert all(0 <= seed < 2**31 for seed in seeds)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": ""}, "has no model"),
        ({"model": "m", "backend": "vlm"}, "did you mean `vllm`"),
    ],
)
def test_bad_specs_are_refused(values: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RoleSpec(**values)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="price is negative"):
        Role(Scripted(), price_in=-1)


def test_an_endpoint_without_a_key_is_refused_before_a_model_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SELFRL_NO_KEY", raising=False)
    specs = {"executor": RoleSpec("/no/such/model"), "evaluator": RoleSpec("m", "endpoint", None, "SELFRL_NO_KEY")}
    with pytest.raises(ValueError, match="SELFRL_NO_KEY holds no key"):
        open_roles(specs)  # type: ignore[arg-type]
    assert "SELFRL_NO_KEY" not in os.environ
