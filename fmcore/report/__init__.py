"""The page of a run, and the drawing kit of every page: charts, tables, plots.

Pages are self-contained: no network, and no script but our own for sorting tables.
"""
