"""Measuring what prunings and codecs cost a model in accuracy."""
