"""A directory in which a test starts a broker and what registers with it. It ends what it started."""
import os
import re
import subprocess
import time

PATIENCE = 20  # seconds


class Wrong(Exception):
    pass


def must(condition, sentence):
    if not condition:
        raise Wrong(sentence)


class Place:
    """A socket directory, and the programs of a build."""

    def __init__(self, build, directory):
        self.directory, self.bin = directory, build / "bin"
        self.environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8",
                            "MUSTER_SOCKET_DIR": directory, "STATE_DIRECTORY": directory}
        self.started = []

    def start(self, *command, **options):
        process = subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, text=True,
                                   **options)
        self.started.append(process)
        return process

    def start_broker(self):
        broker = self.start(str(self.bin / "musterd"), "--config", "/dev/null", "--log-level", "error")
        self.wait_for("the broker answers", lambda: self.musterctl("ping").returncode == 0)
        return broker

    def musterctl(self, *arguments):
        return subprocess.run([str(self.bin / "musterctl"), *arguments], env=self.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, timeout=PATIENCE, check=False)

    def is_listed(self, service):
        return re.search(rf"\b{service} +[\d.]+ .*\blive\b", self.musterctl("backends").stdout)

    def wait_for(self, what, condition):
        until = time.monotonic() + PATIENCE
        while not condition():
            must(time.monotonic() < until, f"not within {PATIENCE} s: {what}")
            time.sleep(0.02)

    def ask(self, status, expected, *arguments):
        done = self.musterctl(*arguments)
        must(done.returncode == status and re.search(expected, done.stdout),
             f"musterctl {' '.join(arguments)}: status {done.returncode}, {done.stdout}")

    def end(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
