"""Images and videos whose classes are known, to measure and to train with."""

from sources.labelled.examples import Example, Examples, open_examples
from sources.labelled.protocol import Protocol
from sources.labelled.viewing import views

__all__ = ["Example", "Examples", "Protocol", "open_examples", "views"]
