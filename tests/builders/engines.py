"""The engines of the event schedule, each one written on its own."""

from eventsnn.engine.compiled import CompiledEngine
from eventsnn.engine.reference import ReferenceEngine
from eventsnn.engine.twin.events import TwinEngine

ENGINES = (CompiledEngine, ReferenceEngine, TwinEngine)
