"""A camera to test against: plays a video over RTSP, and fails when told to."""
