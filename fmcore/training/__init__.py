"""One training step and its state: batches, learning rate, moving averages, optimizer."""
