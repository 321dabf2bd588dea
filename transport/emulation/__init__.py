"""A slow link inside one machine: a TCP relay whose uplink is as fast, and as far, as a shape says."""

from transport.emulation.bucket import Shape, TokenBucket
from transport.emulation.delay_line import DelayLine
from transport.emulation.relay import EmulatedLink, emulated_link

__all__ = ["DelayLine", "EmulatedLink", "Shape", "TokenBucket", "emulated_link"]
