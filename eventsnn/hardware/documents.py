"""YAML as users write it: architectures, mappings, baselines."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, ScalarNode

from eventsnn.errors import EventsnnError

MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping; YAML forbids it, the parent takes the last."""

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
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    except RecursionError as reason:
        raise error(f"{name} is nested too deeply; is it the right file?") from reason
    except (yaml.YAMLError, ValueError) as reason:  # a ValueError: a date that is none
        raise error(f"{name} is not readable as YAML: {reason}") from reason
    finally:
        loader.dispose()
