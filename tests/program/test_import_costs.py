"""What importing the package costs, in a process of its own each."""

from __future__ import annotations

import json
import subprocess
import sys


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = ["IPython", "ipywidgets", "pandas", "scipy", "matplotlib", "kubernetes", "grpc", "numpy"]
    code = "import sys, labsupport; print([name for name in {heavy} if name in sys.modules])"
    for line in ("", "labsupport.Lab; "):
        done = subprocess.run(
            [sys.executable, "-c", code.replace("print", line + "print").format(heavy=heavy)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout.strip() == "[]"


def test_importing_the_package_is_cheap() -> None:
    code = "import time; begun = time.perf_counter(); import labsupport; print(time.perf_counter() - begun)"
    taken = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout)
        for _ in range(3)
    ]
    assert min(taken) < 0.3


def test_registering_imports_nothing_heavy():
    code = (
        "import json, sys; from IPython.core.interactiveshell import InteractiveShell as S; s = S();"
        "from labsupport import display; display.install(s); print(json.dumps(sorted(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(run.stdout))
    heavy = {"anywidget", "ipywidgets", "scipy", "pydantic", "matplotlib"}
    assert not loaded & {*heavy, "labsupport.traffic.observations"}
