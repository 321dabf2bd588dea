"""What can be set of a source."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.secret import Secret


class SourceSettings(BaseModel):
    """A camera, a stream, a pattern or a video: `url` is what a user writes on the command line. User and
    password of a camera stand in it or beside it; `transport` is of RTSP alone."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str = Field(min_length=1, repr=False)
    user: Secret | None = None
    password: Secret | None = None
    transport: Literal["tcp", "udp"] | None = None
