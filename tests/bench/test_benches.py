# SPDX-License-Identifier: GPL-2.0-or-later
"""Each bench runs, in its shortest form, and each of its rows has what it is compared with."""
import json
import math
import os
import subprocess
import tempfile

import pytest

from vhtest import build_image, setting

HERE = os.path.dirname(os.path.realpath(__file__))
BENCHES = sorted(name for name in os.listdir(HERE)
                 if os.access(os.path.join(HERE, name), os.X_OK) and os.path.isfile(os.path.join(HERE, name)))


@pytest.fixture(scope="module")
def image():
    setting.use(kernel="bookworm", host_build=setting.BUILD, slowness=setting.BASE_SLOWNESS)
    build_image()


@pytest.mark.parametrize("name", BENCHES)
def test_smoke(image, name):
    with tempfile.NamedTemporaryFile("r") as rows:
        done = subprocess.run([os.path.join(HERE, name), "--smoke", "--json", rows.name], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout[-8000:]
        found = json.load(rows)
    assert found
    for row in found:
        assert set(row) == {"bench", "name", "unit", "value", "baseline", "ratio", "runs"}, row
        assert math.isfinite(row["value"]) and row["baseline"] is not None, row
