"""What an operator sees of a running device or cloud: whether it lives, whether it is ready, its metrics."""
