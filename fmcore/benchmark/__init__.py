"""What `fmcore benchmark` is made of: axes, cells, problems, measurements, tables."""
