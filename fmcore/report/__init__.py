"""report.html: the page that a person opens after a run, whole in itself: no network, no script.

write_report(folder)                  a run's; what goes wrong is a warning in its log
write_comparison(file, folders)       several runs beside each other
"""

from fmcore.report.comparison import write_comparison
from fmcore.report.page import make_report, write_report

__all__ = ["make_report", "write_comparison", "write_report"]
