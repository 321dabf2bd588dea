import os
import subprocess
import sys
from pathlib import Path


def test_a_process_that_a_test_starts_finds_modules_compiled_by_the_one_before(tmp_path):
    (tmp_path / "plain.py").write_text("")
    code = "import plain; print(plain.__cached__)"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    kept = Path(out.stdout.strip())
    assert kept.exists()
    kept.unlink()


def test_profiles_and_other_things_kept_are_no_users_own():
    assert "janus-tests-" in os.environ["XDG_CACHE_HOME"]
