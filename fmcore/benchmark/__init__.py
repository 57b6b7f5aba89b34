"""Many runs: benchmarks of solvers and recipes, Table 1, comparisons, and their pages."""
