"""The abstract interfaces: one a file, its laws in the docstring."""
