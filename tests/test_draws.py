"""Seeds that hypothesis draws: equal questions get equal answers, and what is found is small."""

import numpy as np
from builders.draws import SEEDS, few, generator
from builders.networks import random_network
from hypothesis import find, given, settings


def sizes(seed):
    numbers = generator(seed)
    return [numbers.integers(1, 30) for _ in range(numbers.integers(1, 9))]


def test_what_is_found_is_as_small_as_it_can_be():
    def condition(seed):
        return len(sizes(seed)) >= 3 and max(sizes(seed)) >= 20

    seed = find(SEEDS, condition, settings=settings(few(100), database=None))
    assert sorted(sizes(seed)) == [1, 1, 20]


@few(50)
@given(SEEDS)
def test_equal_questions_get_equal_answers(seed):
    network = random_network(seed, "mixed", delays=True)
    other = random_network(seed + 1, "mixed", delays=True)
    assert random_network(seed, "mixed", delays=True).checksum == network.checksum
    assert random_network(seed + 1, "mixed", delays=True).checksum == other.checksum
    first, again = seed % 7, seed % 7
    assert first == again < 7


@few(50)
@given(SEEDS)
def test_drawn_numbers_lie_where_numpys_do(seed):
    for numbers in (generator(seed), generator(5)):
        assert 0 <= numbers.random() < 1
        assert 2 <= numbers.uniform(2, 3) < 3
        assert numbers.choice(["a", "b"]) in ("a", "b")
        assert sorted(numbers.permutation(4).tolist()) == [0, 1, 2, 3]
        assert sorted(numbers.permutation(["x", "y"]).tolist()) == ["x", "y"]
        for low, high in ((0, 3), (-400, 1), (5, 2**40)):
            assert low <= numbers.integers(low, high) < high
            for shape in ((2, 3), (30, 30)):
                many = numbers.integers(low, high, shape)
                assert many.shape == shape
                assert low <= many.min() <= many.max() < high
        assert numbers.random((5, 9)).shape == (5, 9)


def test_a_whole_number_is_numpys_seed():
    wanted = np.random.default_rng([3, 7]).integers(0, 100, 9)
    np.testing.assert_array_equal(generator(3, 7).integers(0, 100, 9), wanted)
