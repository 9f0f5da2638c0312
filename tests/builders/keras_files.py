"""Keras models in HDF5 files, as three versions of Keras write them."""

import json

import h5py


def write(path, layers, version=2, backend="tensorflow", shape=None, **attributes):
    """A file of layers (class, config, weights by name)."""
    configs = []
    for number, (kind, config, _) in enumerate(layers):
        config = {"name": f"{kind.lower()}_{number}", **config}
        if number == 0 and shape is not None:
            config["batch_input_shape"] = [None, *shape]
        configs.append({"class_name": kind, "config": config})
    inside = configs if version < 3 else {"name": "sequential", "layers": configs}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": inside})
        file.attrs["keras_version"] = f"{version}.0.4"
        if backend is not None:
            file.attrs["backend"] = backend
        for name, value in attributes.items():
            file.attrs[name] = value
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [entry["config"]["name"].encode() for entry in configs]
        for entry, (_, _, weights) in zip(configs, layers, strict=True):
            name = entry["config"]["name"]
            own = group.create_group(name)
            prefix = {1: f"{name}_", 2: f"{name}/", 3: f"sequential/{name}/"}[version]
            suffix = "" if version != 2 else ":0"
            own.attrs["weight_names"] = [f"{prefix}{weight}{suffix}".encode() for weight in weights]
            for weight, values in weights.items():
                own.create_dataset(f"{prefix}{weight}{suffix}", data=values)
    return path
