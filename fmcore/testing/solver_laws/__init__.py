"""The checks of `SolverSuite`, one class per group of laws."""
