"""The embedded engine's package must report nothing and leave nothing in the home directory."""

import os
import subprocess
import sys
from pathlib import Path

PROBE = """
import sys
from tokenbooth.engines.embedded import worker
worker.load_packages()
reporting = [name for name in sys.modules if name.startswith("openvino_telemetry.")]
assert not reporting, reporting
assert "openvino_genai" in sys.modules
"""


def test_loading_the_engine_reports_to_nobody(tmp_path: Path):
    environ = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", PROBE], env=environ, check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []
