"""Templates of the files that `fmcore plugins new` writes, with $name for each value."""
