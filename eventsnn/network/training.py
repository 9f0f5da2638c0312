"""Which data trained a network, as its file names them: results on these say nothing about others."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from typing import Any

from eventsnn.errors import InvalidNetwork

NAME = "trained_on"
DIGITS = 12
"""Hex digits kept of a sample's hash: that two are alike by chance among 60,000 samples and 10,000 others
happens in one case of half a million."""


def training_record(data: str, contents: Collection[str]) -> dict[str, Any]:
    """Data as a network's metadata name them.

    Parameters
    ----------
    data : str
        What they are called, as ``images:MNIST.npz:train``.
    contents : collection of str
        The hash of each sample (``eventsnn.events.contents``).
    """
    kept = b"".join(sorted({bytes.fromhex(each[:DIGITS]) for each in contents}))
    return {"data": data, "samples": len(contents), "contents": base64.b64encode(kept).decode("ascii")}


def named(metadata: Mapping[str, Any]) -> list[str]:
    """What trained the network, by name; empty where its file does not say."""
    return [record["data"] for record in _records(metadata)]


def trained(metadata: Mapping[str, Any], contents: Collection[str]) -> dict[str, str]:
    """Of these samples, those that trained the network: the name of the data they are from, by hash.

    Raises
    ------
    InvalidNetwork
        The metadata are not as ``training_record`` makes them.
    """
    found: dict[str, str] = {}
    for record in _records(metadata):
        try:
            kept = base64.b64decode(record["contents"], validate=True)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidNetwork(
                f"metadata {NAME!r}: the samples of {record['data']!r} are damaged"
            ) from error
        width = DIGITS // 2
        known = {kept[place : place + width] for place in range(0, len(kept), width)}
        found |= {each: record["data"] for each in contents if bytes.fromhex(each[:DIGITS]) in known}
    return found


def _records(metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    records = metadata.get(NAME, [])
    fits = isinstance(records, list) and all(
        isinstance(each, dict) and isinstance(each.get("data"), str) for each in records
    )
    if not fits:
        raise InvalidNetwork(
            f"metadata {NAME!r} is no list of data with 'data', 'samples' and 'contents'; convert again with "
            "--trained-on, or leave it out"
        )
    return records


def shortened(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata to be shown: data by name and number, without a hash of each sample."""
    if NAME not in metadata:
        return dict(metadata)
    told = [
        {name: value for name, value in each.items() if name != "contents"} for each in _records(metadata)
    ]
    return {**metadata, NAME: told}
