"""What was given, what was expected, and the nearest choice."""
import math

import numpy as np
import pytest
import torch

from nblib import checks


def test_names_are_refused_with_the_nearest():
    assert checks.expect_one_of("rule", "left", ("left", "right")) == "left"
    assert checks.expect_one_of("augment", None, (None, "flip")) is None
    with pytest.raises(ValueError, match="rule 'lefd' was given, expected one of 'left', 'right'; nearest: 'left'"):
        checks.expect_one_of("rule", "lefd", ("left", "right"))
    assert checks.nearest("zzz", ("left", "right")) == ""


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_whole_numbers_are_taken(value):
    assert checks.expect_int("steps", value, 1) == 3 and type(checks.expect_int("steps", value, 1)) is int


@pytest.mark.parametrize("value", [True, np.bool_(True), 3.0, "3", None, 0, 11, math.nan, torch.tensor(3)])
def test_what_is_no_whole_number_in_range_is_refused(value):
    with pytest.raises(ValueError, match=r"steps=.* expected a whole number from 1 to 10"):
        checks.expect_int("steps", value, 1, 10)


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(0.5)])
def test_numbers_are_taken(value):
    assert checks.expect_number("share", value, 0, 1) == float(value)


@pytest.mark.parametrize("value", [True, "0.5", None, -0.1, 1.1, math.nan, math.inf])
def test_what_is_no_number_in_range_is_refused(value):
    with pytest.raises(ValueError, match="share=.* expected a finite number from 0 to 1"):
        checks.expect_number("share", value, 0, 1)
