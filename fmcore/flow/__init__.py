"""A trained network as a flow: velocity field, guidance, likelihood, reflow."""
