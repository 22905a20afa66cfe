"""Colours and shapes: enough contrast, told apart by everyone, and stable."""

import itertools
import math

import pytest

from labsupport.display.drawing.palette import ERROR, NEUTRAL, SLOTS, Palette

THEMES = {"light": "#ffffff", "dark": "#111418"}

# Viénot, Brettel and Mollon (1999) and, for tritanopia, Machado et al. (2009, severity 1): linear RGB to linear RGB.
SIMULATIONS = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.11238, 0.88762, 0), (0.11238, 0.88762, 0), (0.00401, -0.00401, 1)),
    "deuteranopia": ((0.29275, 0.70725, 0), (0.29275, 0.70725, 0), (-0.02234, 0.02234, 1)),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def linear(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def luminance(colour):
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear(colour), strict=True))


def contrast(colour, other):
    bright, dark = sorted((luminance(colour), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def lab(rgb):
    rgb = [min(1.0, max(0.0, c)) for c in rgb]
    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    xyz = [sum(a * b for a, b in zip(row, rgb, strict=True)) for row in rows]
    f = [c ** (1 / 3) if c > 0.008856 else 7.787 * c + 16 / 116 for c in (xyz[0] / 0.95047, xyz[1], xyz[2] / 1.08883)]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def seen(colour, matrix):
    rgb = linear(colour)
    return lab([sum(a * b for a, b in zip(row, rgb, strict=True)) for row in matrix])


@pytest.mark.parametrize("theme", THEMES)
def test_every_colour_has_the_contrast_that_graphics_need(theme):
    for slot in (*SLOTS, NEUTRAL, ERROR):
        assert contrast(getattr(slot, theme), THEMES[theme]) >= 3, slot


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("kind", SIMULATIONS)
def test_versions_of_one_lesson_and_errors_are_told_apart_whatever_colours_one_sees(theme, kind):
    looks = (*SLOTS[:3], ERROR)
    for combination, other in itertools.combinations(looks, 2):
        distance = math.dist(*(seen(getattr(slot, theme), SIMULATIONS[kind]) for slot in (combination, other)))
        # Below that the two need their shapes, which always differ; 20 is many just noticeable differences.
        assert distance > 20, (combination, other, distance)


def test_no_two_looks_share_a_shape_or_a_colour():
    looks = (*SLOTS, NEUTRAL, ERROR)
    for attribute in ("key", "shape", "light", "dark"):
        values = [getattr(slot, attribute) for slot in looks]
        assert len(set(values)) == len(values)


def test_old_and_new_look_the_same_in_all_lessons():
    palette = Palette()
    assert palette.slot("safe") is palette.slot("v1") is SLOTS[0]
    assert palette.slot("risk") is palette.slot("v2") is SLOTS[1]


def test_other_names_get_their_look_when_first_seen_and_keep_it():
    palette = Palette()
    first, second = palette.slot("blue"), palette.slot("green")
    assert first is not second
    assert first not in SLOTS[:3]
    assert palette.slot("blue") is first
    assert palette.slot("") is NEUTRAL


def test_more_names_than_looks_are_possible():
    palette = Palette()
    assert all(palette.slot(f"build-{number}") in SLOTS for number in range(50))
