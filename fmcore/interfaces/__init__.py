"""Interfaces of components, one in each file with its laws, and the value types they use."""
