"""A run on disk (folder, checkpoints, samples, results) and the processes that write it."""
