"""The verbs of `devit`: a large model is decomposed into small ones, and they are trained and measured."""
