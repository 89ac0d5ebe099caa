"""Runs commands for what checks the documentation."""
import os
import pathlib
import subprocess

TREE = pathlib.Path(__file__).resolve().parents[2]

LIMIT = 120  # seconds for a block


class Failed(Exception):
    pass


def run(command, **options):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            stdin=subprocess.DEVNULL, timeout=LIMIT, check=False, **options)
    if result.returncode != 0:
        raise Failed(f"status {result.returncode}:\n{result.stdout}")
    return result.stdout


def runs(command):
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def unpack_debian(build):
    """Debian's daemons, which are not installed. Returns where they are, and "" or why not, which a
    script that starts itself again does not find out twice.
    """
    name = "MUSTER_NO_DEBIAN"
    if name not in os.environ:
        done = subprocess.run([str(TREE / "tools/unpack_debian.sh"), str(build / "debian")], text=True,
                              stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
        said = " ".join(done.stdout.split())
        if done.returncode not in (0, 77):
            raise Failed(f"tools/unpack_debian.sh: status {done.returncode}: {said}")
        os.environ[name] = said
    return build / "debian/bin", os.environ[name]
