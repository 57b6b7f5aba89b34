"""Adaptive solvers: error control, scheduling of a batch, dense output and gradients."""
