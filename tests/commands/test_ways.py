import subprocess
import sys

from tests.commands.processes import ENVIRONMENT, MAIN


def test_only_peers_need_timm():
    code = "import sys, commands.device, commands.replay; print({'timm', 'torchvision'} & sys.modules.keys())"
    command = [sys.executable, "-c", code]
    out = subprocess.run(
        command, capture_output=True, text=True, cwd=MAIN.parent, env=ENVIRONMENT, check=True
    ).stdout
    assert out == "set()\n"
