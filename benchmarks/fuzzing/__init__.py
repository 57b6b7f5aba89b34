"""Feed every reader of fmcore with broken and hostile files: see benchmarks/fuzz.py."""
