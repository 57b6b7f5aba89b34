"""Pages for people, whole in themselves: no network, and no script but our own for sorting tables.

write_report(folder)                  a run's report.html; what goes wrong is a warning in its log
write_comparison(file, folders)       several runs beside each other
write_benchmark(file, report)         a benchmark
write_table1(file, ...)               the paper's Table 1 and its figures
"""

from fmcore.report.benchmark import write_benchmark
from fmcore.report.comparison import write_comparison
from fmcore.report.page import make_report, write_report
from fmcore.report.table1 import write_table1

__all__ = ["make_report", "write_benchmark", "write_comparison", "write_report", "write_table1"]
