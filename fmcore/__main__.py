"""`python -m fmcore`, as `torchrun -m fmcore run ...` needs it."""

from fmcore.cli import main

main()
