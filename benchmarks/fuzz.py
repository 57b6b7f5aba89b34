"""Feed every reader of strangers' files with broken and hostile ones, and see that nothing runs,
nothing hangs, and whatever is refused is refused with a message.

    nice python benchmarks/fuzz.py --cases 100500 --out benchmarks/results/fuzz.json
    python benchmarks/fuzz.py --only npz --cases 2000 --seed 7      one reader
    python benchmarks/fuzz.py --only npz --case 1234 --seed 7       one case, with its traceback

A case is a function of (seed, target, number).  It ends well if the reader returns or raises an
FmcoreError; it fails with any other exception, after 10 seconds of processor time, or if an audit
hook sees a process started, a connection, or a file changed outside the case's own folder.  Memory
is limited to 8 GiB of addresses.  Given the same --out and --seed again, it goes on after the last
target that was done.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fuzzing.files import CANARY, Folder
from fuzzing.targets import Target, targets
from fuzzing.watch import Overtime, Watch

from fmcore.errors import FmcoreError

SECONDS = 10.0
ADDRESSES = 8 << 30


@dataclass
class Tally:
    """How the cases of one target ended; `failures` by their last line, with a case each."""

    ends: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    failures: dict[str, int] = field(default_factory=dict)

    def add(self, end: str, number: int, seconds: float, why: str = "") -> None:
        self.ends[end] += 1
        self.slowest = max(self.slowest, seconds)
        if why:
            self.failures.setdefault(f"{end}: {why}", number)


def fuzz(
    cases: int,
    seed: int,
    only: str = "",
    done: Mapping[str, Tally] = MappingProxyType({}),
    after: Callable[[dict[str, Tally]], None] = lambda found: None,
) -> dict[str, Tally]:
    """Run `cases` cases, shared out over the targets but for those `done`, and say how those of
    each ended; `after` is called when a target is.
    """
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # no disk to wait for
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory) as made:
        base, place = Path(made) / "base", Path(made) / "case"
        base.mkdir()
        chosen = [t for t in targets(base) if not only or t.name == only]
        watch, whole = Watch(str(place)), sum(target.share for target in chosen)
        found = dict(done)
        for target in chosen:
            if target.name in done:
                continue
            tally = found[target.name] = Tally()
            for number in range(-(-cases * target.share // whole)):
                _one(target, number, seed, place, watch, tally)
            after(found)
    return found


def case_of(target: Target, number: int, seed: int) -> Folder:
    """The files of one case."""
    return target.make(random.Random(f"{seed}/{target.name}/{number}"))


def _one(target: Target, number: int, seed: int, place: Path, watch: Watch, tally: Tally) -> None:
    _lay_out(case_of(target, number, seed), place)
    before, began, why, end = os.getcwd(), time.process_time(), "", "read"
    os.chdir(place)
    try:
        with watch.over(SECONDS):
            target.read(place)
    except FmcoreError as error:
        end, why = "refused", "" if str(error).strip() else "no message"
    except Overtime:
        end, why = "hung", traceback.format_exc().splitlines()[-2].strip()
    except Exception as error:  # just what is looked for
        where = traceback.extract_tb(error.__traceback__)[-1]
        end, why = "crashed", f"{type(error).__name__} in {Path(where.filename).name}:{where.name}"
    finally:
        os.chdir(before)
    if watch.seen or (place / CANARY).exists():
        end, why = "ran", watch.seen[0] if watch.seen else CANARY
    tally.add(end, number, time.process_time() - began, why)


def _lay_out(case: Folder, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    for name, content in case.items():
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def before(out: Path | None, seed: int) -> tuple[dict[str, Tally], float]:
    """What an earlier call wrote to `out`, and the seconds it took."""
    if out is None or not out.exists():
        return {}, 0.0
    told = json.loads(out.read_text(encoding="utf-8"))
    if told["seed"] != seed:
        raise SystemExit(f"{out} holds a run with another seed: give another --out")
    kept = {
        name: Tally(Counter(target["ends"]), target["slowest"], target["failures"])
        for name, target in told["targets"].items()
    }
    return kept, float(told["seconds"])


def report(found: dict[str, Tally], seed: int, seconds: float) -> dict[str, Any]:
    """The result as JSON."""
    whole: Counter[str] = sum((tally.ends for tally in found.values()), Counter())
    return {
        "cases": whole.total(),
        "ends": dict(whole),
        "seed": seed,
        "seconds": round(seconds, 1),
        "began": f"{datetime.now(UTC):%Y-%m-%d}",
        "python": platform.python_version(),
        "limit_seconds_a_case": SECONDS,
        "targets": {
            name: {"ends": dict(t.ends), "slowest": round(t.slowest, 3), "failures": t.failures}
            for name, t in found.items()
        },
    }


def repeat(name: str, number: int, seed: int) -> None:
    """One case again, its files left where they can be looked at, with its traceback."""
    place = Path(tempfile.mkdtemp(prefix="fuzz-case-"))
    base = Path(tempfile.mkdtemp(prefix="fuzz-base-"))
    (target,) = (t for t in targets(base) if t.name == name)
    _lay_out(case_of(target, number, seed), place)
    print(place)
    os.chdir(place)
    target.read(place)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--case", type=int)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    warnings.simplefilter("ignore")
    if asked.case is not None:
        repeat(asked.only, asked.case, asked.seed)
        return 0
    done, spent = before(asked.out, asked.seed)
    began = time.monotonic() - spent

    def written(found: dict[str, Tally]) -> None:
        name, tally = list(found.items())[-1]
        print(f"{name}: {dict(tally.ends)} {tally.failures}", file=sys.stderr, flush=True)
        told = report(found, asked.seed, time.monotonic() - began)
        if asked.out:
            asked.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")

    found = fuzz(asked.cases, asked.seed, asked.only, done, written)
    ends = set().union(*(tally.ends for tally in found.values()))
    return 1 if ends - {"read", "refused"} else 0


if __name__ == "__main__":
    sys.exit(main())
