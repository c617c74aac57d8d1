"""CEL rules that run long are given up, and small objects are judged all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.admission_cases import definition, instance
from troth.engine.admission.admitting import Admission, Admitted
from troth.engine.admission.defaults import refused_default
from troth.engine.admission.refusals import Refusal
from troth.engine.admission.steps import FEWEST_STEPS, MOST_STEPS, Allowance, OutOfSteps, Steps

GROUP = "example.com"
NUMBERS: dict[str, Any] = {"type": "array", "maxItems": 300, "items": {"type": "integer"}}
PAIRS = "self.a.all(x, self.a.exists_one(y, x == y))"


def ruled(rule: str, **fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": NUMBERS, **fields}, "x-kubernetes-validations": [{"rule": rule}]}


def judging(schema: dict[str, Any]) -> Callable[[Any], list[str] | None]:
    """Says of a value why rules could not be asked; None when the object is refused."""
    made = definition("things", GROUP, {"field": (schema, [])})
    admission = Admission(made)

    def judged(value: Any) -> list[str] | None:
        return judgement(admission.admit(instance(made, "a", "default", {"field": value})))

    return judged


def judgement(answer: Admitted | tuple[Refusal, ...]) -> list[str] | None:
    return [rule.cause for rule in answer.unchecked] if isinstance(answer, Admitted) else None


@pytest.mark.slow
def test_after_objects_that_take_too_long_a_small_one_is_judged() -> None:
    judged = judging(ruled(PAIRS))
    for _ in range(2):
        (cause,) = judged({"a": list(range(300))}) or [""]
        assert "too many steps" in cause
    assert judged({"a": [1, 2, 3]}) == []
    assert judged({"a": [1, 2, 2]}) is None


def test_all_objects_that_take_too_long_cost_as_much_as_two_and_some_steps_each() -> None:
    allowance, given = Allowance(), 0
    for _ in range(1_000):
        steps = Steps(allowance.steps)
        given += steps.left
        with pytest.raises(OutOfSteps):
            steps.take(steps.left + 1)
        allowance.settle(steps)
    assert given <= 2 * MOST_STEPS + 1_000 * FEWEST_STEPS


def test_an_object_that_is_judged_in_time_costs_the_next_one_nothing() -> None:
    allowance = Allowance()
    steps = Steps(allowance.steps)
    steps.take(MOST_STEPS)
    allowance.settle(steps)
    assert allowance.steps == MOST_STEPS


def test_a_rule_that_no_api_server_takes_is_not_asked_at_all() -> None:
    wide = {**NUMBERS, "maxItems": 10_000}
    causes = judging(ruled(PAIRS, a=wide))({"a": [1]})
    assert causes == ["it costs more than an API server lets it"]


@pytest.mark.parametrize(
    "rule",
    [
        "[self.t]" + ".map(t, t + t)" * 40 + " == []",
        "[self.a]" + ".map(a, a + a)" * 40 + " == []",
        "self.a.all(x, self.t.replace('a', self.t) == '')",
        "self.a.all(x, self.s == self.s)",
    ],
)
def test_neither_memory_nor_time_of_a_function_is_without_bounds(rule: str) -> None:
    texts = {"type": "array", "x-kubernetes-list-type": "set", "maxItems": 2_000, "items": {"type": "string"}}
    judged = judging(ruled(rule, t={"type": "string", "maxLength": 20_000}, s=texts))
    causes = judged({"a": list(range(300)), "t": "a" * 20_000, "s": [str(n) for n in range(2_000)]})
    assert causes
    assert all("too many steps" in cause or "costs more" in cause for cause in causes)


@pytest.mark.slow
def test_defaults_that_take_long_are_given_up_together(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, take = [0], Steps.take

    def counted(steps: Steps, count: int = 1) -> None:
        taken[0] += 1
        take(steps, count)

    monkeypatch.setattr(Steps, "take", counted)
    fields: dict[str, tuple[dict[str, Any], list[Any]]] = {
        f"f{n}": ({**ruled(PAIRS), "default": {"a": list(range(300))}}, []) for n in range(12)
    }
    assert refused_default(definition("things", GROUP, fields)) is None
    assert MOST_STEPS < taken[0] < 2 * MOST_STEPS + 100 * FEWEST_STEPS


@pytest.mark.slow
def test_rules_that_are_too_long_to_be_read_are_unchecked() -> None:
    rules = [{"rule": f"self.a.all(x, x > {n} || " + " || ".join(["x < 0"] * 30) + ")"} for n in range(500)]
    causes = judging({**ruled(""), "x-kubernetes-validations": rules})({"a": [1_000]}) or []
    assert 0 < len(causes) < len(rules)
    assert all("longer than the 30,000 characters that are read" in cause for cause in causes)
