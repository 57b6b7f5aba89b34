"""Fixed solvers: time grids, path schedules, and plans traced once on the host."""
