"""Write examples/fmcore-every-kind: one distribution with the template component of each kind.

python tools/every_kind.py            write the files
python tools/every_kind.py --check    exit with 1 if they differ from the templates
"""

from __future__ import annotations

import sys
from pathlib import Path

from fmcore.cli.plugins.new import Plan
from fmcore.registry.kinds import KINDS

ROOT = Path(__file__).parents[1] / "examples" / "fmcore-every-kind"
PACKAGE = "fmcore_every_kind"

PYPROJECT = f"""\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "fmcore-every-kind"
version = "0.1.0"
description = "A component of every kind for fmcore"
readme = "README.md"
license = "Apache-2.0"
requires-python = ">=3.11"
dependencies = ["fmcore-flow"]

[project.optional-dependencies]
test = ["pytest"]

[project.entry-points.fmcore]
{PACKAGE} = "{PACKAGE}"

[tool.hatch.build.targets.wheel]
packages = ["{PACKAGE}"]

[tool.pytest.ini_options]
testpaths = ["tests"]
"""

README = """\
# fmcore-every-kind

A plugin for [fmcore](../..) with a small component of every kind: {kinds}. Each module is what
`fmcore plugins new NAME --kind KIND` writes, each recipe uses one of them, and each test runs the
conformance suite of its kind.

```
pip install -e ".[test]"
pytest
fmcore run recipes/path.yaml
```

`python tools/every_kind.py`, in fmcore's own folder, writes these files from the templates.
"""

HOOKS = '''\
"""A component of every kind for fmcore."""

from __future__ import annotations

from fmcore import Register, hookimpl
'''


def files() -> dict[str, str]:
    """Return the text of each file, by its path in the distribution."""
    made = {"pyproject.toml": PYPROJECT, "README.md": README.format(kinds=", ".join(KINDS))}
    hooks = HOOKS
    for kind in KINDS:
        plan = Plan(f"every-{kind}", kind)
        written = plan.files()
        made[f"{PACKAGE}/{kind}.py"] = written[f"{plan.package}/{kind}.py"]
        made[f"recipes/{kind}.yaml"] = written["recipe.yaml"]
        test = written[f"tests/test_{kind}.py"]
        made[f"tests/test_{kind}.py"] = test.replace('"recipe.yaml"', f'"recipes" / "{kind}.yaml"')
        hook = written[f"{plan.package}/__init__.py"].partition("@hookimpl")[2]
        hooks += "\n\n@hookimpl" + hook.replace(f"{plan.package}.{kind}:", f"{PACKAGE}.{kind}:")
    return made | {f"{PACKAGE}/__init__.py": hooks}


def main(check: bool) -> int:
    """Write the files, or compare them."""
    wrong = []
    for name, text in files().items():
        file = ROOT / name
        if file.is_file() and file.read_text(encoding="utf-8") == text:
            continue
        wrong.append(name)
        if not check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    for name in wrong:
        print(f"{name} {'differs' if check else 'written'}")
    return int(check and bool(wrong))


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv))
