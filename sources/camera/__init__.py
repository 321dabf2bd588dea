"""A camera to test against: plays a video over RTSP, and fails when told to."""

from sources.camera.camera import Camera, open_camera
from sources.camera.faults import Fault, parse_fault
from sources.camera.settings import CameraSettings

__all__ = ["Camera", "CameraSettings", "Fault", "open_camera", "parse_fault"]
