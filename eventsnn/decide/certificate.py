"""Certificates: a threshold, what it was calibrated to hold, on what, and under which assumptions.

A certificate is a JSON file with a checksum. ``eventsnn run --exit CERTIFICATE.json`` reads its rule and
threshold, and refuses another network, another way of running it, and the data it was calibrated on.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeGuard

from eventsnn.errors import InvalidFile, InvalidRequest, MissingFile

FORMAT = "eventsnn-certificate"
SCHEMA = 1
CONDITIONS = (
    "network", "schedule", "step_ps", "ties", "input", "duration_ps", "max_rate_hz", "origin",
    "scale_currents", "architecture", "mapping", "decision_weights",
)  # fmt: skip
READING = ("fractions", "transforms", "orientation", "clock")
"""Of the description of recordings, what makes other input of the same files."""


@dataclass(frozen=True)
class Certificate:
    """A calibrated threshold.

    Attributes
    ----------
    rule : str
        Name of the exit rule.
    threshold : float
    risk : str
        What is bounded: ``gap``, ``error``, ``disagreement``, ``deadline``, ``coverage``.
    limit : float
        The risk is at most this ...
    confidence : float or None
        ... with at least this probability over the draw of the calibration samples. None for ``coverage``,
        whose limit is that of both draws together.
    samples, errors : int
        Calibration samples, and how many of them were lost at the threshold.
    p_value, bound : float or None
        Of the exact binomial test at ``limit``; the risk that ``errors`` exclude at this confidence.
    rules : tuple of str
        All rules among which this was chosen; each was tested at (1 - confidence) / their number.
    grid, tested : int
        Thresholds of the grid, which was fixed beforehand, and how many of them were tested in sequence.
    deadline_s : float or None
    by_halt_time : bool
        The risk is held among the samples that have stopped by a time, not over all alone.
    measured : dict
        Means over the calibration samples: accuracy, latency, operations, of the full run and stopped.
    conditions : dict
        Parts of the run's configuration that a run with this certificate must share.
    calibrated_on : dict
        The data, and a hash of each sample.
    assumptions : tuple of str
    version : str
    """

    rule: str
    threshold: float
    risk: str
    limit: float
    confidence: float | None
    samples: int
    errors: int
    p_value: float | None
    bound: float | None
    rules: tuple[str, ...]
    grid: int
    tested: int
    deadline_s: float | None
    by_halt_time: bool
    measured: dict[str, Any]
    conditions: dict[str, Any]
    calibrated_on: dict[str, Any]
    assumptions: tuple[str, ...]
    version: str
    checksum: str = field(default="", compare=False)

    def document(self) -> dict[str, Any]:
        """As JSON values, with the checksum."""
        found = asdict(self) | {"rules": list(self.rules), "assumptions": list(self.assumptions)}
        del found["checksum"]
        whole = {"format": FORMAT, "schema": SCHEMA, **found}
        return whole | {"checksum": _checksum(whole)}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file.

        Raises
        ------
        InvalidRequest, CannotWrite
            As ``eventsnn.output.replaced_whole``.
        """
        from eventsnn.output import CERTIFICATE, replaced_whole

        require_certificate_name(path)
        with replaced_whole(path, CERTIFICATE) as aside:
            aside.write_text(json.dumps(self.document(), indent=1) + "\n")


def is_certificate(rule: Any) -> TypeGuard[str | os.PathLike[str]]:
    """Whether what was given as an exit rule is the name of a certificate's file."""
    return isinstance(rule, os.PathLike) or (isinstance(rule, str) and rule.endswith(".json"))


def require_certificate_name(path: str | os.PathLike[str]) -> None:
    """Refuse the name of a file that ``--exit`` would not take for a certificate.

    Raises
    ------
    InvalidRequest
    """
    if not os.fspath(path).endswith(".json"):
        raise InvalidRequest(f"a certificate is a .json file, not {os.fspath(path)!r}; call it *.json")


def _checksum(document: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(document, sort_keys=True).encode(), digest_size=16).hexdigest()


def read_certificate(path: str | os.PathLike[str]) -> Certificate:
    """Read a certificate.

    Raises
    ------
    MissingFile
        There is no such file.
    InvalidFile
        It is none, or was changed.
    """
    try:
        text = Path(path).read_text()
    except FileNotFoundError as error:
        raise MissingFile(f"there is no certificate {path}; 'eventsnn calibrate' writes one") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidFile(f"{path} cannot be read as a certificate: {error}") from error
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidFile(f"{path} is no certificate: {error}; 'eventsnn calibrate' writes one") from error
    if not isinstance(found, dict) or (found.get("format"), found.get("schema")) != (FORMAT, SCHEMA):
        raise InvalidFile(f"{path} is no certificate of schema {SCHEMA}; 'eventsnn calibrate' writes one")
    checksum = found.pop("checksum", None)
    if checksum != _checksum(found):
        raise InvalidFile(
            f"{path}: its checksum is {checksum!r}, its content gives {_checksum(found)}: it was changed "
            "after it was written, and certifies nothing; calibrate again"
        )
    names = {each.name for each in fields(Certificate)} - {"checksum"}
    content = {name: found[name] for name in names if name in found}
    if content.keys() != names:
        raise InvalidFile(f"{path} lacks {', '.join(sorted(names - content.keys()))}; calibrate again")
    for name in ("rules", "assumptions"):
        content[name] = tuple(content[name])
    return Certificate(**content, checksum=checksum)


def conditions_of(configuration: dict[str, Any]) -> dict[str, Any]:
    """What a run must share with the calibrated one, of its configuration."""
    found = {name: configuration[name] for name in CONDITIONS if name in configuration}
    data = configuration.get("data") or {}
    found["reading"] = {name: data[name] for name in READING if data.get(name)}
    # Engines of integers give the same run; floating point is another network.
    engine = str(configuration.get("engine"))
    found["arithmetic"] = engine if engine.startswith("float") else "integer"
    return found


def require_same(certificate: Certificate, configuration: dict[str, Any]) -> None:
    """Refuse a run that is not as the calibrated one was.

    Raises
    ------
    InvalidRequest
        Another network, accelerator, schedule, or whatever else ``conditions`` names.
    """
    here = conditions_of(configuration)
    for name, value in certificate.conditions.items():
        if here.get(name) != value:
            raise InvalidRequest(
                f"the certificate was calibrated with {name} {_short(value)}, this run has "
                f"{_short(here.get(name))}; it holds for runs like the calibrated one only: "
                "calibrate again"
            )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def require_other_data(
    certificate: Certificate, sources: dict[int, str], contents: dict[int, str] | None = None
) -> None:
    """Refuse a run over samples that calibrated the threshold, by the hashes of their input by index.

    ``sources`` hold names and labels, too; ``contents`` know a copy of another name.

    Raises
    ------
    InvalidRequest
    """
    known, held = (
        set(certificate.calibrated_on["sources"]),
        set(certificate.calibrated_on.get("contents", ())),
    )
    common = {index for index, source in sources.items() if source in known}
    common |= {index for index, content in (contents or {}).items() if content in held}
    if common:
        raise InvalidRequest(
            f"{len(common)} of the {len(sources)} samples calibrated this certificate; on them it promises "
            "nothing: run it on others"
        )
