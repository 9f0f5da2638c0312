"""YAML as users write it: architectures, mappings, baselines."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from yaml.constructor import ConstructorError
from yaml.events import AliasEvent
from yaml.nodes import MappingNode, ScalarNode

from eventsnn.arguments import nearest
from eventsnn.errors import EventsnnError, InvalidHardware

# Shipped architectures have some hundred.
MOST_VALUES = 100_000
MOST_BYTES = 4 * 2**20
MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping; YAML forbids it, the parent takes the last.

    Refuses also what would grow: an alias stands for all that its anchor holds, so a few lines of aliases of
    aliases are billions of values. Counted is the document with every alias written out.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._values: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        alias = self.check_event(AliasEvent)
        node: Any = super().compose_node(parent, index)
        if alias and id(node) not in self._values:
            raise ConstructorError(
                None, None, "an alias stands inside what it stands for; write it without", node.start_mark
            )
        if id(node) not in self._values:
            held: list[Any] = [] if isinstance(node, ScalarNode) else node.value
            if isinstance(node, MappingNode):
                held = [child for pair in held for child in pair]
            self._values[id(node)] = 1 + sum(self._values[id(child)] for child in held)
        if self._values[id(node)] > MOST_VALUES:
            raise ConstructorError(
                None,
                None,
                f"with its aliases written out it has more than {MOST_VALUES} values; write it without "
                "aliases of aliases",
                node.start_mark,
            )
        return node

    def compose_mapping_node(self, anchor: Any) -> MappingNode:
        node: MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, ScalarNode) or key.tag == MERGE:
                continue
            if (key.tag, key.value) in seen:
                raise ConstructorError(
                    None, None, f"the key {key.value!r} stands twice in one mapping; keep one", key.start_mark
                )
            seen.add((key.tag, key.value))
        return node


def read_document(text: str, name: str, error: type[EventsnnError]) -> Any:
    """What a YAML text says, in plain values; ``name`` says where it stands.

    Raises
    ------
    error
        Not YAML, a key twice in one mapping, or nested too deeply.
    """
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        return loader.get_single_data()
    except RecursionError as reason:
        raise error(f"{name} is nested too deeply; is it the right file?") from reason
    # Others than its own: a date that is none, a key that is a list, a value that is no base64.
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, OverflowError) as reason:
        raise error(f"{name} is not readable as YAML: {reason}") from reason
    finally:
        if loader is not None:
            loader.dispose()


def read_text(path: Path, what: str, error: type[EventsnnError]) -> str:
    """The text of a file that holds ``what``.

    Raises
    ------
    error
        Not UTF-8, too large to be such a file, or not readable.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise error(
                f"{path} has {path.stat().st_size} bytes; {what} is a YAML text of at most {MOST_BYTES}"
            )
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as reason:
        raise error(f"{path} is not a text file; {what} is a YAML text") from reason
    except OSError as reason:
        raise error(f"{path} cannot be read: {reason.strerror}") from reason


def places(found: ValidationError, model: type[BaseModel]) -> str:
    """Each wrong place of a document on its own line, with its path."""
    return "\n".join(f"  {place}: {said}" for place, said in wrong_places(found, model))


def wrong_places(found: ValidationError, model: type[BaseModel]) -> list[tuple[str, str]]:
    """Each wrong place of a document and what is wrong there; unknown keys with the nearest known."""
    wrong = []
    for item in found.errors():
        place, said = ".".join(str(part) for part in item["loc"]) or "document", item["msg"]
        if item["type"] == "extra_forbidden":
            said = f"there is no such key{nearest(item['loc'][-1], _keys_at(model, item['loc'][:-1]))}"
        elif item["type"] in ("model_type", "model_attributes_type", "dict_type"):
            said = "it must be a mapping, lines of KEY: VALUE"
        wrong.append((place, said.removeprefix("Value error, ")))
    return wrong


def _keys_at(model: Any, place: tuple[int | str, ...]) -> set[str]:
    """The keys that may stand at a place of a document of a model."""
    within = list(_models(model))
    for part in place:
        fields = [
            field
            for owner in within
            for name, field in owner.model_fields.items()
            if part in (name, field.alias)
        ]
        # Names that the user chose, places in lists and pydantic's own marks lead to what is held there.
        if fields:
            within = [found for field in fields for found in _models(field.annotation)]
    return {field.alias or name for owner in within for name, field in owner.model_fields.items()}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def yaml_names(folder: Traversable) -> list[str]:
    """The names of a folder's YAML files, without their ending, sorted."""
    return sorted(each.name[:-5] for each in folder.iterdir() if each.name.endswith(".yaml"))


def preset_or_file(name: str, presets: Traversable, sought: str, what: str) -> Any:
    """The parsed YAML of a preset or of a file.

    Parameters
    ----------
    name : str
        A preset's, else a path.
    presets : Traversable
        The folder of the presets.
    sought, what : str
        What a message calls what is not found, and a file that cannot be read.

    Raises
    ------
    InvalidHardware
        No such preset or file, or not YAML.
    """
    known = yaml_names(presets)
    if name in known:
        text = (presets / f"{name}.yaml").read_text(encoding="utf-8")
    elif Path(name).is_file():
        text = read_text(Path(name), what, InvalidHardware)
    else:
        raise InvalidHardware(
            f"no {sought} {name!r}: it is neither a file nor a preset; presets are {', '.join(known)}"
        )
    return read_document(text, name, InvalidHardware)
