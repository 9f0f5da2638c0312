"""What the laws draw from, and how often.

Builders ask a generator of numbers: numpy's where a seed is a whole number, which names one case for good.
For a law hypothesis draws each number when it is asked for, so that a failing case shrinks.
"""

import functools
import math

import numpy as np
from hypothesis import note, settings
from hypothesis import strategies as st

# Arrays of more numbers shrink as a whole.
ONE_BY_ONE = 6
# Hypothesis draws evenly from so many numbers; from more, mostly small ones.
DIGIT = 256


def few(examples):
    return settings(max_examples=examples, deadline=None, derandomize=True)


def generator(seed, *key):
    """The numbers of a seed; another key, other numbers."""
    return seed.generator(*key) if isinstance(seed, DrawnSeed) else np.random.default_rng([seed, *key])


class DrawnSeed:
    """Stands where builders take a seed; as with one, equal questions in equal order get equal answers."""

    def __init__(self, draw, answers):
        self._draw, self._answers = draw, answers

    def generator(self, *key):
        return DrawnNumbers(self._draw, self._answers.setdefault(key, {}))

    def __mod__(self, divisor):
        return self.generator("remainder").integers(divisor)

    def __add__(self, number):
        return DrawnSeed(self._draw, self._answers.setdefault(("plus", number), {}))

    def __repr__(self):
        return "a drawn seed; its numbers as they were asked for:"


@st.composite
def _drawn_seeds(draw):
    return DrawnSeed(draw, {})


SEEDS = _drawn_seeds()


class DrawnNumbers:
    """What the builders ask of numpy's Generator, drawn by hypothesis."""

    def __init__(self, draw, answers):
        self._draw, self._answers = draw, answers

    def integers(self, low, high=None, size=None):
        return self._ask("integers", (0, int(low)) if high is None else (int(low), int(high)), size)

    def random(self, size=None):
        return self._ask("random", (), size)

    def uniform(self, low, high):
        return low + (high - low) * self.random()

    def choice(self, options, size=None):
        return self._ask("choice", (tuple(np.asarray(options).tolist()),), size)

    def permutation(self, items):
        items = np.arange(items) if isinstance(items, int) else np.asarray(items)
        return items[self._ask("permutation", (len(items),))]

    def _ask(self, name, asked, size=None):
        question = name, asked, None if size is None else tuple(np.atleast_1d(size).tolist())
        if question not in self._answers:
            self._answers[question] = self._draw(answers(*question)), {}
            note((name, *asked, self._answers[question][0]))
        answer, self._answers = self._answers[question]
        return answer if size is None else answer.copy()


@functools.cache
def answers(name, asked, shape):
    """What may be answered: few numbers each on its own, many as numpy draws them from a seed."""
    one = ONE[name](*asked)
    if shape is None:
        return one
    count = math.prod(shape)
    if count > ONE_BY_ONE:
        seeds = st.integers(0, 2**16)
        return seeds.map(lambda seed: getattr(np.random.default_rng(seed), name)(*asked, shape))
    return st.lists(one, min_size=count, max_size=count).map(lambda numbers: np.array(numbers).reshape(shape))


def evenly(low, high):
    """Whole numbers from ``low`` to below ``high``; of a wide range 65536 places at most.

    Hypothesis likes ends and zeros. In a wide range they are scattered over inner places: periods of a tick
    or two would make neurons with a current fire a million times.
    """
    if high - low <= DIGIT:
        return st.integers(low, high - 1)
    places = st.tuples(*[st.integers(-DIGIT // 2, DIGIT // 2 - 1)] * 2)
    return places.map(
        lambda pair: low + ((pair[0] * 77 + 101) % DIGIT * DIGIT + pair[1] % DIGIT) * (high - low) // DIGIT**2
    )


def below_one():
    """Simplest just below 1: what happens with a small probability is left out."""
    return st.integers(1, DIGIT).map(lambda n: 1 - n / DIGIT)


def orders(length):
    return st.permutations(range(length))


ONE = {"integers": evenly, "random": below_one, "choice": st.sampled_from, "permutation": orders}
