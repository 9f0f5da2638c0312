"""Samples are known by what they hold; data that trained a network certify nothing for it."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders.recordings import random_events, small_network, write_recordings
from typer.testing import CliRunner

import eventsnn
from eventsnn.calibration import calibrate
from eventsnn.cli.commands import app
from eventsnn.decide.certificate import read_certificate, require_other_data
from eventsnn.errors import InvalidNetwork, InvalidRequest
from eventsnn.events import image_set, open_dataset
from eventsnn.events.contents import content_hashes
from eventsnn.events.inputs import Sample
from eventsnn.network import Network
from eventsnn.network.training import named, shortened, trained, training_record
from eventsnn.results.results import Results


def test_a_copy_of_another_name_index_and_label_has_the_same_hash(tmp_path):
    folder = write_recordings(tmp_path / "a", per_class=2, classes=2)
    (tmp_path / "b" / "7").mkdir(parents=True)
    (folder / "1" / "00001.bin").rename(tmp_path / "b" / "7" / "00099.bin")
    copy = tmp_path / "a" / "1" / "00001.bin"
    copy.write_bytes((tmp_path / "b" / "7" / "00099.bin").read_bytes())
    one, other = (open_dataset(f"nmnist:{tmp_path / name}") for name in "ab")
    assert content_hashes(one)[3] == content_hashes(other)[0]
    assert len(set(content_hashes(one))) == 4
    copy.write_bytes(copy.read_bytes()[:-5])
    assert content_hashes(one)[3] != content_hashes(other)[0]


def test_images_are_known_wherever_they_stand():
    images = np.random.default_rng(1).integers(0, 255, (5, 4, 4), dtype=np.uint8)
    whole = content_hashes(image_set(images, np.arange(5)))
    assert content_hashes(image_set(images[::-1], first=70)) == whole[::-1]
    assert content_hashes([Sample(images[2][..., np.newaxis], None, 9, "x")]) == whole[2:3]
    assert len(set(whole)) == 5
    assert content_hashes(image_set(images / 255.0))[0] != whole[0]


def test_a_file_of_ours_gives_the_same_hash_for_the_same_events(tmp_path):
    from eventsnn.run.prepare import prepare_recordings

    write_recordings(tmp_path / "a", per_class=1, classes=3)
    for name in ("one", "other"):
        prepare_recordings(f"nmnist:{tmp_path / 'a'}", tmp_path / f"{name}.h5")
        (tmp_path / "a" / "2").rename(tmp_path / "a" / "5") if name == "one" else None
    one, other = (content_hashes(open_dataset(f"events:{tmp_path / f'{n}.h5'}")) for n in ("one", "other"))
    assert one == other


def test_which_samples_trained_a_network_is_known_by_hand():
    first, second, neither = "00" * 8, "ab" * 8, "ff" * 8
    metadata = {"trained_on": [training_record("a:x", [first]), training_record("b:y", [second, second])]}
    assert named(metadata) == ["a:x", "b:y"]
    assert trained(metadata, [first, second, neither]) == {first: "a:x", second: "b:y"}
    assert trained({}, [first]) == {}
    told = shortened(metadata | {"note": 1})
    assert told == {
        "trained_on": [{"data": "a:x", "samples": 1}, {"data": "b:y", "samples": 2}],
        "note": 1,
    }


@pytest.mark.parametrize(
    "records", ["a:x", [1], [{"samples": 1}], [{"data": "a", "contents": "%%"}], [{"data": "a"}]]
)
def test_damaged_names_are_refused(records):
    with pytest.raises(InvalidNetwork, match="trained_on"):
        trained({"trained_on": records}, ["00" * 8])


def data(seed, n=320):
    rng = np.random.default_rng(seed)
    return [(random_events(rng, 25), number % 3) for number in range(n)]


def told(network, samples):
    """A network that names samples as its training data."""
    record = training_record(
        "nmnist:mine:train", content_hashes([Sample(e, None, 0, "") for e, _ in samples])
    )
    return Network(network.populations.values(), network.projections.values(), {"trained_on": [record]})


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    training, others = data(1, 6), data(2)
    network = told(small_network(), training)
    network.save(folder / "n.h5")
    mixed = [*others[:-2], *training[:2]]
    return {
        "folder": folder,
        "network": network,
        "training": training,
        "clean": eventsnn.simulate(network, others, output=folder / "clean.h5"),
        "mixed": eventsnn.simulate(network, mixed, output=folder / "mixed.h5"),
    }


def test_a_run_says_which_of_its_samples_trained_the_network(runs):
    for name, expected in (("clean", {}), ("mixed", dict.fromkeys((318, 319), "nmnist:mine:train"))):
        assert runs[name].trained == expected
        assert Results.load(runs["folder"] / f"{name}.h5").trained == expected
    assert eventsnn.simulate(small_network(), runs["training"]).trained is None
    chosen = np.arange(320) >= 319
    assert runs["mixed"].select(chosen).trained == {319: "nmnist:mine:train"}
    assert runs["mixed"].select(~chosen[::-1] & ~chosen).trained == {318: "nmnist:mine:train"}


def test_training_data_calibrate_nothing(runs):
    with pytest.raises(InvalidRequest, match=r"2 of the 320 samples trained .* nmnist:mine:train \(2\)"):
        calibrate(runs["mixed"], limit=0.05)
    line = ["calibrate", str(runs["folder"] / "mixed.h5"), "--max-gap", "0.05"]
    done = CliRunner().invoke(app, line)
    assert isinstance(done.exception, InvalidRequest)


def test_a_certificate_refuses_training_data_and_renamed_copies(runs):
    path = runs["folder"] / "c.json"
    calibrate(runs["clean"], risk="disagreement", limit=0.05).save(path)
    made = read_certificate(path)
    with pytest.raises(InvalidRequest, match="6 of the 6 samples trained"):
        eventsnn.simulate(runs["network"], runs["training"], exit=str(path))
    # The same events under another index and label.
    copies = [(events, 9) for events, _ in data(2)[5:9]] + data(3, 2)
    with pytest.raises(InvalidRequest, match="4 of the 6 samples calibrated"):
        eventsnn.simulate(runs["network"], copies, exit=str(path))
    assert len(eventsnn.simulate(runs["network"], data(3, 2), exit=str(path))) == 2
    # Certificates of before knew no contents.
    old = replace(made, calibrated_on={k: v for k, v in made.calibrated_on.items() if k != "contents"})
    table = runs["clean"].table
    require_other_data(old, {0: "00" * 8}, table.contents)
    with pytest.raises(InvalidRequest, match="320 of the 320"):
        require_other_data(old, table.sources)


def test_convert_names_its_training_data(tmp_path):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    images = {part: rng.integers(0, 255, (20, 6, 6), dtype=np.uint8) for part in ("train", "test")}
    file = tmp_path / "d.npz"
    np.savez(file, **{f"{part}_x": images[part] for part in images})
    model = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(36, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3)
    )
    torch.save(model, tmp_path / "m.pt")
    line = [
        *("convert", str(tmp_path / "m.pt"), "-o", str(tmp_path / "n.h5")),
        *("--calibration", f"images:{file}", "--split", "train"),
        *("--trained-on", f"images:{file}:train"),
    ]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    network = eventsnn.load(tmp_path / "n.h5")
    assert named(network.metadata) == [f"images:{file}:train"]
    found = {part: content_hashes(open_dataset(f"images:{file}", part)) for part in images}
    assert len(trained(network.metadata, found["train"])) == 20
    assert trained(network.metadata, found["test"]) == {}
    (record,) = network.metadata["provenance"]
    assert record["parameters"]["command"] == "convert"
    assert network.metadata["conversion"]["original_macs"] == {"exact": 195, "blind": 195}
    shown = CliRunner().invoke(app, ["inspect", str(tmp_path / "n.h5")], env={"COLUMNS": "200"}).output
    assert "20 samples" in shown
    as_json = json.loads(CliRunner().invoke(app, ["inspect", str(tmp_path / "n.h5"), "--json"]).stdout)
    assert "contents" not in json.dumps(as_json["metadata"]["trained_on"])
    # In Python a set, or several; what cannot be named is refused.
    given = image_set(images["test"])
    again = eventsnn.convert(model, given, trained_on=[given, f"images:{file}:train"])
    assert named(again.metadata) == ["images:in memory", f"images:{file}:train"]
    assert again.checksum == eventsnn.convert(model, given).checksum
    with pytest.raises(InvalidRequest, match="trained_on"):
        eventsnn.convert(model, given, trained_on=images["test"])


@pytest.mark.skipif("EVENTSNN_DATA" not in os.environ, reason="EVENTSNN_DATA does not name the data")
def test_the_network_for_nmnist_names_its_800_recordings():
    network = eventsnn.load(Path(eventsnn.__file__).parents[1] / "models" / "nmnist.h5")
    spec = f"nmnist:{Path(os.environ['EVENTSNN_DATA']) / 'nmnist'}"
    hashes = {part: content_hashes(open_dataset(spec, part)) for part in ("train", "test")}
    assert len(trained(network.metadata, hashes["train"])) == 800
    assert trained(network.metadata, hashes["test"]) == {}


def test_weights_of_ours_name_their_training_data(tmp_path):
    pytest.importorskip("torch")
    from eventsnn.convert.definitions import definition
    from eventsnn.convert.definitions.trained import load_trained, save_trained
    from eventsnn.convert.loading import load_model
    from eventsnn.convert.trained import trained_model
    from eventsnn.errors import InvalidFile

    record = training_record("images:x:train", ["00" * 8])
    save_trained(tmp_path / "m.pt", definition("lenet5"), "lenet5", {}, [record])
    assert load_trained(tmp_path / "m.pt").trained_on == [record]
    assert trained_model(load_model(tmp_path / "m.pt")).trained_on == (record,)
    save_trained(tmp_path / "m.pt", definition("lenet5"), "lenet5", {}, [{"samples": 3}])
    with pytest.raises(InvalidFile, match="training data"):
        load_trained(tmp_path / "m.pt")
