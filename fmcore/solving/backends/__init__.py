"""Backends of fixed solvers: eager, compiled, fused kernels and CUDA graphs."""
