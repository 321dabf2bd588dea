import base64

from sources.camera.sdp import describe

SEQUENCE, PICTURE = bytes.fromhex("6742c00dda04"), bytes.fromhex("68ce0fc8")


def test_the_description_holds_what_a_decoder_needs_before_the_first_packet():
    lines = describe((SEQUENCE, PICTURE), 30000 / 1001).decode().split("\r\n")
    assert lines[0] == "v=0" and lines[-1] == ""
    assert "m=video 0 RTP/AVP 96" in lines
    assert "a=rtpmap:96 H264/90000" in lines
    assert "a=framerate:29.97" in lines
    assert (
        lines.index("a=control:*") < lines.index("m=video 0 RTP/AVP 96") < lines.index("a=control:trackID=0")
    )
    (formats,) = [line for line in lines if line.startswith("a=fmtp:96 ")]
    fields = dict(part.split("=", 1) for part in formats.removeprefix("a=fmtp:96 ").split(";"))
    assert (fields["packetization-mode"], fields["profile-level-id"]) == ("1", "42C00D")
    sets = [base64.b64decode(text) for text in fields["sprop-parameter-sets"].split(",")]
    assert sets == [SEQUENCE, PICTURE]
