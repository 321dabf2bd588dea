"""Cameras and streams: sources that come late, stall, break off and come back."""
