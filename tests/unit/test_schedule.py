"""The rules of a training's course: learning rate, best epoch, its end, and the keys that these never come to use."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ichflow.recipes import Recipe
from ichflow.schedule import Schedule, idle
from support import shipped_recipes

RECIPE = shipped_recipes()["unet-small"]
NEVER = 10**9
KEYS = ("stop_after", "halve_after")


def course(recipe: Recipe, dice: Sequence[float]) -> list[float]:
    """Return the learning rate of each epoch that is trained, if validation says this of them."""
    schedule, rates = Schedule(recipe), []
    for value in dice:
        rates.append(schedule.learning_rate)
        schedule.add({"val_dice": value, "val_loss": -value})
        if schedule.is_over:
            break
    return rates


def course_of(dice: Sequence[float], **keys: Any) -> list[float]:
    return course(dataclasses.replace(RECIPE, learning_rate=0.8, **keys), dice)


def test_the_learning_rate_rises_and_falls_along_a_cosine() -> None:
    rates = course_of([0.5] * 11, warmup=3, epochs=11, schedule="cosine", monitor="last")
    assert rates[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert rates[7] == pytest.approx(0.4)
    assert 0 < rates[10] < 0.05
    assert sorted(rates[3:], reverse=True) == rates[3:]


@pytest.mark.parametrize("monitor", ["val_dice", "val_loss"])
def test_it_is_halved_while_no_epoch_is_better_and_then_training_ends(monitor: str) -> None:
    keys: dict[str, Any] = {"schedule": "halve", "halve_after": 2, "stop_after": 5, "epochs": 50, "monitor": monitor}
    assert course_of([0.5, 0.4, 0.4, 0.6, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1], **keys) == [
        *(0.8, 0.8, 0.8),  # a better epoch
        *(0.4, 0.4, 0.4),  # an equal one is none
        *(0.2, 0.2, 0.1),
    ]


def test_the_best_epoch_is_told_and_the_last_one_where_it_is_kept() -> None:
    for monitor, best in (("val_dice", 2), ("val_loss", 2), ("last", 3)):
        schedule = Schedule(dataclasses.replace(RECIPE, monitor=monitor, epochs=3))
        found = [schedule.add({"val_dice": value, "val_loss": -value}) for value in (0.1, 0.3, 0.2)]
        assert schedule.best_epoch == best
        assert found == [True, True, monitor == "last"]


RECIPES = st.builds(
    dataclasses.replace,
    st.just(RECIPE),
    monitor=st.sampled_from(["val_loss", "val_dice", "last"]),
    schedule=st.sampled_from(["halve", "cosine"]),
    warmup=st.integers(0, 5),
    epochs=st.integers(1, 8),
    stop_after=st.integers(1, 9),
    halve_after=st.integers(1, 9),
)


# One good epoch, some worse ones, and then ever better ones
COURSES = [[0.5, *[0.1] * worse, *(0.6 + place / 100 for place in range(7 - worse))] for worse in range(8)]
HALVED_IN_WARM_UP = dataclasses.replace(
    RECIPE, monitor="val_dice", schedule="halve", warmup=3, halve_after=1, stop_after=2, epochs=8
)


@given(RECIPES)
@example(HALVED_IN_WARM_UP)
def test_a_key_is_idle_if_the_course_is_the_same_without_it(recipe: Recipe) -> None:
    without = {key: dataclasses.replace(recipe, **{key: NEVER}) for key in KEYS}
    same = {key for key in KEYS if all(course(without[key], dice) == course(recipe, dice) for dice in COURSES)}
    assert idle(recipe.as_dict()) == same


@given(RECIPES, st.lists(st.floats(0, 1), min_size=8, max_size=8))
def test_what_is_idle_is_so_whatever_validation_says(recipe: Recipe, dice: list[float]) -> None:
    for key in idle(recipe.as_dict()):
        assert course(dataclasses.replace(recipe, **{key: NEVER}), dice) == course(recipe, dice)


@given(RECIPES, st.lists(st.floats(0, 1), min_size=8, max_size=8), st.integers(0, 8))
def test_a_schedule_goes_on_from_its_rows(recipe: Recipe, dice: list[float], finished: int) -> None:
    whole, rows = Schedule(recipe), [{"val_dice": value, "val_loss": -value} for value in dice]
    for row in rows[:finished]:
        whole.add(row)
    gone_on = Schedule(recipe, whole.rows)
    for row in rows[finished:]:
        assert (gone_on.learning_rate, gone_on.is_over) == (whole.learning_rate, whole.is_over)
        assert gone_on.add(row) == whole.add(row)
    assert gone_on.best_epoch == whole.best_epoch
