"""Pictures of runs: grids, curves, trajectories.  matplotlib is used without a display."""
