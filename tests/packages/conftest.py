# SPDX-License-Identifier: GPL-2.0-or-later
"""VH_PACKAGES names the directory of the packages (build-deb), VH_PACKAGES_WORK one in which the systems are kept: those that are
there are used as they are."""
import os
import subprocess
import tempfile

import pytest
import systems


@pytest.fixture(scope="session", autouse=True)
def _work():
    if os.getuid():
        pytest.fail("only root can make such systems")
    if systems.WORK:
        yield
        return
    systems.WORK = tempfile.mkdtemp(prefix="vhint-packages.")
    yield
    # Whatever went wrong: nothing that is mounted there is followed.
    subprocess.run(["rm", "-rf", "--one-file-system", systems.WORK], check=False)
