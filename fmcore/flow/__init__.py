"""A trained network as a flow: velocity field, guidance, change of schedule, likelihood, reflow."""
