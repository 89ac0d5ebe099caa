"""Debian's own daemons and logrotate, unpacked and not installed, with a musterd, in a directory."""
import gzip
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/docs"))

from place import PATIENCE, Place, must


def open_files(pid):
    """Of a process and its children: what its descriptors are, as the kernel names them."""
    found = []
    for each in (pid, *children(pid)):
        for entry in pathlib.Path(f"/proc/{each}/fd").glob("*"):
            try:
                found.append(str(entry.readlink()))
            except OSError:
                pass  # closed meanwhile
    return found


def children(pid):
    return [int(child) for child in
            pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


class Client:
    """Of a web server, over one connection."""

    def __init__(self, path):
        self.peer = socket.socket(socket.AF_UNIX)
        self.peer.settimeout(PATIENCE)
        self.peer.connect(path)

    def send(self, name):
        self.peer.sendall(f"GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def head(self):
        """Byte for byte, so that nothing of the body is taken."""
        text = b""
        while not text.endswith(b"\r\n\r\n"):
            got = self.peer.recv(1)
            must(got, "the web server closed the connection")
            text += got
        return text.decode()

    def body(self, head):
        wanted = int(re.search(r"Content-Length: (\d+)", head)[1])
        got = 0
        while got < wanted:
            part = self.peer.recv(min(1 << 16, wanted - got))
            must(part, f"the web server closed the connection after {got} of {wanted} bytes")
            got += len(part)
        return got

    def get(self, name):
        self.send(name)
        return self.body(self.head())

    def close(self):
        self.peer.close()


class Daemons(Place):
    def __init__(self, build, programs, directory):
        super().__init__(build, directory)
        self.environment["PATH"] = f"{build / 'bin'}:{programs}:{self.environment['PATH']}"
        self.log = self.folder("log")
        self.stopped = []

    def folder(self, name):
        made = pathlib.Path(self.directory, name)
        made.mkdir(mode=0o755)
        return made

    def write(self, name, text):
        path = pathlib.Path(self.directory, name)
        path.write_text(text, encoding="utf-8")
        return str(path)

    def run(self, *command):
        return subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                              check=False)

    def start_nginx(self, served, more="", log=None):
        at = self.directory
        kept = "".join(f"{name}_temp_path {at}/{name};" for name in
                       ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        conf = self.write("nginx.conf", f"""
            pid {at}/nginx.pid; error_log {at}/nginx.errors; worker_processes 2; daemon off;
            events {{}}
            http {{
              log_format line "$uri"; access_log {log or self.log / 'access.log'} line;
              keepalive_requests 100000; {kept} {more}
              server {{ listen unix:{at}/web.sock; root {served}; }}
            }}""")
        nginx = self.start("nginx", "-e", f"{at}/nginx.errors", "-c", conf, stderr=subprocess.DEVNULL)
        self.wait_for("nginx has its workers", lambda: len(children(nginx.pid)) == 2)
        return nginx

    def client(self):
        return Client(f"{self.directory}/web.sock")

    def start_rsyslog(self, log):
        at = self.directory
        conf = self.write("rsyslog.conf", f"""
            module(load="imuxsock" SysSock.Use="off")
            input(type="imuxsock" Socket="{at}/dev-log" RateLimit.Interval="0")
            template(name="line" type="string" string="%msg%\\n")
            action(type="omfile" file="{log}" template="line")
            """)
        rsyslog = self.start("rsyslogd", "-n", "-f", conf, "-i", f"{at}/rsyslog.pid")
        self.wait_for("rsyslog listens", lambda: pathlib.Path(at, "dev-log").exists())
        return rsyslog

    def start_let_go(self, service, pid_file, sent, *seconds):
        self.start(str(self.bin / "muster-let-go"), service, pid_file, sent, *seconds)
        self.wait_for(f"{service} is registered", lambda: self.is_listed(service))

    def stop(self, *pids):
        """They do nothing until they go on."""
        for pid in pids:
            self.stopped.append(pid)
            os.kill(pid, signal.SIGSTOP)
            state = pathlib.Path(f"/proc/{pid}/stat")
            self.wait_for("it is stopped", lambda: ") T " in state.read_text(encoding="ascii"))

    def go_on(self):
        while self.stopped:
            os.kill(self.stopped.pop(), signal.SIGCONT)

    def rotate(self, log, postrotate, more="compress"):
        """Real logrotate. `postrotate`: one line of shell."""
        conf = self.write("rotate.conf", f"""{log} {{
            rotate 100
            {more}
            postrotate
                {postrotate}
            endscript
        }}
        """)
        return self.run("logrotate", "--state", f"{self.directory}/rotated", "--force", conf)

    def lines(self, log):
        """Of all generations, the oldest first."""
        log = pathlib.Path(log)
        found = []
        # "log.1.gz" is younger than "log.2.gz", and "log-1" older than "log-2".
        def age(path):
            mark, number = re.match(r"([.-])(?:\d+-)?(\d+)", path.name.removeprefix(log.name)).groups()
            return -int(number) if mark == "." else int(number)

        older = sorted(log.parent.glob(f"{log.name}[.-]*"), key=age)
        for path in (*older, log):
            data = path.read_bytes()
            text = gzip.decompress(data) if path.suffix == ".gz" else data
            found += text.decode().splitlines()
        return found

    def end(self):
        self.go_on()
        for process in reversed(self.started):
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
        super().end()
