"""The HTML page of a run, and the drawing tools of every page: charts, tables, plots.

Pages are self-contained: no network access, and no script but the one that sorts tables.
"""
