"""The laws of `Solver` by family, each a class of checks; `SolverSuite` is all of them."""
