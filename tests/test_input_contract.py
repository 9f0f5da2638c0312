"""What the input of a converted network means stands in its file, and under its checksum."""

import numpy as np
import pytest

from eventsnn.errors import InvalidNetwork
from eventsnn.network import Dense, Input, InputContract, Network, Population, Projection, Readout
from eventsnn.network import load_network as load

CONTRACT = InputContract("analog", 100_000.0, 0.0, 1.0, (0.0, 255.0), (0.5, 0.25), (0.25, 0.5))


def network(contract: InputContract | None = None) -> Network:
    populations = [Population("input", (1, 1, 2), Input()), Population("output", (1, 1, 2), Readout())]
    weight = np.array([[1, 2], [3, 4]])
    return Network(populations, [Projection("in-out", "input", "output", Dense(weight))], contract=contract)


def test_a_file_keeps_the_contract(tmp_path):
    network(CONTRACT).save(tmp_path / "net.h5")
    assert load(tmp_path / "net.h5").contract == CONTRACT


def test_a_network_that_was_not_converted_has_none(tmp_path):
    network().save(tmp_path / "net.h5")
    assert load(tmp_path / "net.h5").contract is None


def test_the_checksum_covers_it():
    found = {network(c).checksum for c in (None, CONTRACT, InputContract("analog"), InputContract("charge"))}
    assert len(found) == 4


@pytest.mark.parametrize(
    "document",
    [
        {"coding": "morse"},
        {"coding": 3},
        {"duration_us": -1.0},
        {"duration_us": "long"},
        {"lowest": 2.0, "highest": 1.0},
        {"input_range": [255.0, 0.0]},
        {"input_range": [1.0]},
        {"mean": []},
        {"mean": [float("nan")]},
        {"deviation": [0.0]},
        {"colour": "red"},
        ["analog"],
    ],
)
def test_what_is_no_contract_is_refused(document):
    with pytest.raises(InvalidNetwork, match="input"):
        InputContract.of(document)
