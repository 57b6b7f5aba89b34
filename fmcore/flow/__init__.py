"""A trained network as a flow: velocity field, change of schedule, likelihood, reflow."""
