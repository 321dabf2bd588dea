"""Which decoded pictures may be converted: FFmpeg ends the whole process over some of the others."""

import re

import av

_INTEGERS = r"(9|1[0-6])(msb)?(be|le)"
_FLOATS = r"f(16|32)(be|le)"
_FAMILIES = (
    rf"yuv[aj]?4\d\dp({_INTEGERS})?",
    rf"(gbra?p|gray)({_INTEGERS}|{_FLOATS})?",
    r"ya(8|f?16(be|le))",
    r"(rgb|bgr)(24|0|a|8|4_byte|(48|444|555|565|a64)(be|le))|[0a](rgb|bgr)",
    r"rgb(af16|f16|f32)(be|le)|x2(rgb|bgr)10le",
    r"nv(12|16|21|24|42|20(be|le))|p[024]1[0-6](be|le)|y21[0-6]le",
    r"(yuyv|uyvy|yvyu)422|uyyvyy411|vyu444|vuy[ax]|uyva|ayuv(64(be|le))?|xv(30le|(36|48)(be|le))|v30xle",
    r"pal8|mono[bw]|xyz12(be|le)|bayer_(bggr|rggb|gbrg|grbg)(8|16(be|le))",
)
_KNOWN = re.compile("|".join(_FAMILIES))


def why_not(picture: av.VideoFrame) -> str | None:
    """Why a picture cannot be converted to RGB, by its pixel format and size; None where it can."""
    name = picture.format.name
    if not _KNOWN.fullmatch(name):
        return f"pictures of pixel format {name} cannot be converted; yuv420p, nv12 or rgb24 can"
    # The colours of a Bayer picture come from squares of 2 x 2 pixels.
    if picture.format.is_bayer and (picture.width % 2 or picture.height % 2):
        return f"{name} pictures of {picture.width} x {picture.height} cannot be converted; even sizes can"
    return None
