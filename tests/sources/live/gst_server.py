"""GStreamer's RTSP server as a program of the system's Python: an implementation that is not ours.

Usage: gst_server.py PORT PICTURE [USER PASSWORD]; serves rtsp://127.0.0.1:PORT/cam, H.264, 25 frames a
second, over TCP and UDP, until it is killed. PICTURE is a pattern of `videotestsrc`.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

LAUNCH = (
    "( videotestsrc is-live=true pattern={} ! video/x-raw,width=160,height=120,framerate=25/1,format=I420"
    " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 bitrate=500"
    " ! rtph264pay name=pay0 pt=96 config-interval=1 )"
)


def digest_auth(user: str, password: str) -> GstRtspServer.RTSPAuth:
    auth = GstRtspServer.RTSPAuth.new()
    auth.set_supported_methods(2)  # GST_RTSP_AUTH_DIGEST
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
    auth.add_digest(user, password, token)
    return auth


def main(port: str, picture: str, *credentials: str) -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(LAUNCH.format(picture))
    factory.set_shared(True)
    if credentials:
        server.set_auth(digest_auth(*credentials))
        factory.add_role_from_structure(
            Gst.Structure.new_from_string(
                "viewer, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
            )
        )
    server.get_mount_points().add_factory("/cam", factory)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
