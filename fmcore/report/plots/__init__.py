"""Pictures of runs: image grids, curves, trajectories.  matplotlib needs no display here."""
