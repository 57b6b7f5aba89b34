"""The files that `fmcore plugins new` fills in, with $name for what differs."""
