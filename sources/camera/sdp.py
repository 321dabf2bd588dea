"""The session description that a client gets before it asks for the stream (RFC 4566, RFC 6184)."""

import base64

from sources.camera.rtp import CLOCK_HZ, PAYLOAD_TYPE

TRACK = "trackID=0"


def describe(parameter_sets: tuple[bytes, bytes], rate: float) -> bytes:
    """One H.264 track of `rate` frames a second, which ends when the client says so."""
    sets = ",".join(base64.b64encode(unit).decode() for unit in parameter_sets)
    profile = parameter_sets[0][1:4].hex().upper()
    lines = (
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=Janus camera",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=control:*",
        "a=range:npt=now-",
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
        f"a=rtpmap:{PAYLOAD_TYPE} H264/{CLOCK_HZ}",
        f"a=fmtp:{PAYLOAD_TYPE} packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={sets}",
        f"a=framerate:{rate:.6g}",
        f"a=control:{TRACK}",
    )
    return "\r\n".join([*lines, ""]).encode()
