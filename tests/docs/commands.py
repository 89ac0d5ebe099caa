"""Runs commands for what checks the documentation."""
import subprocess

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
