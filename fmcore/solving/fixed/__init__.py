"""Fixed-step solvers: a plan traced once on the host, and the tables it is made of."""
