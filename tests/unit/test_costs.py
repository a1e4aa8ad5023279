"""The time that a training asks a cluster for."""

from dataclasses import replace

import numpy as np
import pytest
from ichflow import costs, networks
from support import shipped_recipes

RECIPES = shipped_recipes()


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("name", RECIPES)
def test_operations_are_those_of_the_convolutions_that_are_built(name, residual):
    """Of a convolution each output pixel, of a transposed one each input pixel meets the whole kernel."""
    recipe = replace(RECIPES[name], filters=4, size=64, residual=residual)
    total = 0
    for layer in networks.build(recipe).layers:
        if layer.__class__.__name__ in ("Conv2D", "Conv2DTranspose"):
            seen = layer.input if "Transpose" in layer.__class__.__name__ else layer.output
            total += np.prod(layer.kernel.shape) * np.prod(seen.shape[1:3])
    assert costs.training_flops(recipe) == 3 * 2 * total


def test_minutes_grow_with_network_patients_epochs_and_attempt_up_to_a_day():
    study = RECIPES["unet-2d"]
    asked = costs.training_minutes(study, 75, 1)
    assert asked > costs.training_minutes(RECIPES["unet-25d"], 75, 1) > costs.training_minutes(study, 10, 1) > 20
    assert costs.training_minutes(replace(study, epochs=100), 75, 1) > asked
    assert costs.training_minutes(study, 75, 2) == 2 * asked
    assert costs.training_minutes(study, 100_000, 3) == 24 * 60
