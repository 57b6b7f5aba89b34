"""Adaptive solvers: error control, batch scheduling and dense output."""
