"""What is known at the moment a plan is chosen."""

from pipeline.items import Moment

__all__ = ["Moment"]
