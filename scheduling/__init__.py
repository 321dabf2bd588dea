"""Which plan to take for a clip: plain numbers, without torch and without I/O."""
