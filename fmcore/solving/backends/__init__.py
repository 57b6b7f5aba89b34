"""Backends that run a plan: eager, compiled, fused kernels and CUDA graphs."""
