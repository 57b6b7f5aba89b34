"""What a step of training is made of: batches, the learning rate, the moving average."""
