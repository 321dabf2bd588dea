"""Measuring this machine: how long a model's parts take on it, and what its codecs make of a clip."""
