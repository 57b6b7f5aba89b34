"""A run on disk: its folder, its checkpoints, and what is recorded beside every number."""
