"""How the small model that ships is made: its clips, its start, its training."""
