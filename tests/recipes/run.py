#!/usr/bin/env python3
"""The recipes of docs/GUIDE.md with Debian's own daemons: what goes wrong without Muster, and what
holds with it.

    run.py BUILD_DIR [unittest ARG..]

The daemons are unpacked into BUILD_DIR/debian, not installed, and listen on Unix sockets of a
directory of their own. As root all runs in a mount namespace of its own. Status 77 where the
daemons cannot be fetched; what a host does not let a test do is skipped, with the reason.
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import daemons
from daemons import children, open_files

# Of tests/docs, which daemons finds.
import commands
import scratch

BUILD = pathlib.Path(sys.argv[1]).resolve()
MEGABYTES = 8
NO_MOUNTS = ""  # why


class Recipe(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        self.addCleanup(directory.cleanup)
        pathlib.Path(directory.name).chmod(0o755)  # nginx's workers may be of another user
        self.at = daemons.Daemons(BUILD, PROGRAMS, directory.name)
        self.addCleanup(self.at.end)

    def start_broker(self):
        """Returns why it is not seen here whether a file is in use; "" where it is."""
        self.at.start_broker()
        seen = self.at.musterctl("holders", str(self.at.folder("empty")))
        if seen.returncode == 0:
            return ""
        return re.sub(r"of \d+ processes \(.*?\)", "of some processes", seen.stdout.split("\n")[0])

    def mount(self, name):
        """A file system of 64 MB."""
        if NO_MOUNTS:
            self.skipTest(NO_MOUNTS)
        made = self.at.folder(name)
        self.succeeds("mount", "-t", "tmpfs", "-o", "size=64M,mode=755", "none", str(made))
        self.addCleanup(subprocess.run, ["umount", "--lazy", "--quiet", str(made)], check=False)
        return made

    def succeeds(self, *command):
        done = self.at.run(*command)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}")
        return done.stdout

    def rotate_ten_times(self, daemon, load):
        """While `load()` is called: each time the old log is compressed as it was when released."""
        asked = 'musterctl release-handles --verify --wait 5s "$2"'
        told = "Released: 1 of 1 acked, nobody holds a file"
        if not_seen := self.start_broker():
            NOTES.append(f"{self.id()}: not verified: {not_seen}")
            asked, told = 'musterctl release-handles "$2"', "1 of 1 acked"
        self.at.start_let_go(*self.let_go)
        done = threading.Event()

        def go_on():
            while not done.is_set():
                load()

        loads = threading.Thread(target=go_on)
        loads.start()
        try:
            for number in range(10):
                before = len(self.sent)
                self.at.wait_for("there is load", lambda before=before: len(self.sent) > before + 5)
                self.at.wait_for("there is a log", self.log.exists)
                size = f"{self.at.directory}/size{number}"
                rotated = self.at.rotate(self.log, f'{asked} && stat -c %s "$2" >{size}')
                self.assertEqual(rotated.returncode, 0, rotated.stdout)
                self.assertIn(told, rotated.stdout)
                self.assertNotIn(f"{self.log}.1", " ".join(open_files(daemon.pid)))
                compressed = self.succeeds("sh", "-c", f"zcat {self.log}.1.gz | wc -c")
                self.assertEqual(int(compressed), int(pathlib.Path(size).read_text("ascii")),
                                 "the old log grew after it was released")
        finally:
            done.set()
            loads.join()
        self.at.wait_for("the last lines are written", lambda: self.log.exists() and
                         len(self.at.lines(self.log)) >= len(self.sent))
        self.assertEqual(self.at.lines(self.log), self.sent)

    def used(self, mounted):
        """Megabytes."""
        return int(self.succeeds("df", "--output=used", "-BM", str(mounted)).split()[-1].rstrip("M"))


class RotateALogOfNginx(Recipe):
    def setUp(self):
        super().setUp()
        served = self.at.folder("served")
        for number in range(10):
            (served / f"{number}").write_text("content")
        self.nginx = self.at.start_nginx(served)
        self.log = self.at.log / "access.log"
        self.pid_file = f"{self.at.directory}/nginx.pid"
        self.let_go = ("nginx", self.pid_file, "USR1")
        self.sent = []

    def wait_for_new_log(self):
        self.at.wait_for("nginx has the new log only", lambda: not any(
            name.startswith(str(self.log)) and name != str(self.log)
            for name in open_files(self.nginx.pid)))

    def test_without_muster_a_busy_worker_writes_into_what_is_compressed_by_now(self):
        client = self.at.client()
        self.addCleanup(client.close)
        client.get("0")
        self.at.wait_for("the line is written", lambda: self.at.lines(self.log) == ["/0"])
        self.at.stop(*children(self.nginx.pid))
        # What Debian's own postrotate comes down to.
        done = self.at.rotate(self.log, f"kill -USR1 $(cat {self.pid_file})")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn(f"{self.log}.1 (deleted)", open_files(self.nginx.pid))
        client.send("1")
        self.at.go_on()
        client.body(client.head())
        self.wait_for_new_log()
        self.assertEqual(self.at.lines(self.log), ["/0"], "a line was lost")

    def test_without_muster_the_old_log_grows_after_the_rotation(self):
        self.at.rotate(self.log, "true", "nocompress")
        old = pathlib.Path(f"{self.log}.1")
        before = old.stat().st_size
        client = self.at.client()
        self.addCleanup(client.close)
        client.get("0")
        self.at.wait_for("the old log grows", lambda: old.stat().st_size > before)

    def test_no_line_is_lost_in_ten_rotations_under_load(self):
        client = self.at.client()
        self.addCleanup(client.close)

        def load():
            name = f"{len(self.sent) % 10}"
            client.get(name)
            self.sent.append(f"/{name}")

        self.rotate_ten_times(self.nginx, load)

    def test_a_worker_that_does_not_let_go_fails_the_rotation_and_no_line_is_lost(self):
        self.start_broker()
        self.at.start_let_go(*self.let_go, "1")
        client = self.at.client()
        self.addCleanup(client.close)
        client.get("0")
        stopped = children(self.nginx.pid)
        self.at.stop(*stopped)
        done = self.at.rotate(self.log, 'musterctl release-handles "$2"')
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stdout, rf"still: process ({'|'.join(map(str, stopped))}) has {self.log}.1 open")
        self.assertEqual(sorted(path.name for path in self.at.log.iterdir()),
                         ["access.log", "access.log.1"], "it was compressed nevertheless")
        client.send("1")
        self.at.go_on()
        client.body(client.head())
        self.assertIn("1 of 1 acked", self.succeeds("musterctl", "release-handles", f"{self.log}.1"))
        client.get("2")
        self.at.wait_for("the last line is written", lambda: len(self.at.lines(self.log)) >= 3)
        self.assertEqual(self.at.lines(self.log), ["/0", "/1", "/2"])

    def test_after_a_rotation_that_failed_the_next_loses_no_line_with_dateext(self):
        self.start_broker()
        self.at.start_let_go(*self.let_go, "1")
        for more, kept in (("", ["/0", "/2"]), ("dateext\ndateformat -%Y%m%d-%s", ["/0", "/1", "/2"])):
            client = self.at.client()
            for number in range(3):
                client.get(f"{number}")
                self.at.wait_for("the line is written", lambda number=number:
                                 self.log.read_text("utf-8") == f"/{number}\n")
                second = int(time.time())  # which is all that dateext can tell apart
                self.at.wait_for("the second is over", lambda now=second: time.time() >= now + 1)
                if number == 1:
                    self.at.stop(*children(self.nginx.pid))
                done = self.at.rotate(self.log, 'musterctl release-handles "$2"', f"compress\n{more}")
                self.assertEqual(done.returncode, 1 if number == 1 else 0, done.stdout)
                self.at.go_on()
                self.wait_for_new_log()
            client.close()
            self.assertEqual(self.at.lines(self.log), kept, more)
            for path in self.at.log.glob("access.log[.-]*"):
                path.unlink()

    def test_a_release_elsewhere_leaves_nginx_alone(self):
        self.start_broker()
        self.at.start_let_go(*self.let_go)
        inode = self.log.stat().st_ino
        self.log.rename(f"{self.log}.moved")
        said = self.succeeds("musterctl", "release-handles", str(self.at.folder("elsewhere")))
        self.assertIn("no backend had anything open", said)
        self.assertFalse(self.log.exists(), "it was told to open its log anew")
        self.assertEqual(pathlib.Path(f"{self.log}.moved").stat().st_ino, inode)


class RotateALogOfRsyslog(Recipe):
    def setUp(self):
        super().setUp()
        self.log = self.at.log / "messages"
        self.rsyslog = self.at.start_rsyslog(self.log)
        self.pid_file = f"{self.at.directory}/rsyslog.pid"
        self.let_go = ("rsyslog", self.pid_file, "HUP")
        self.sent = []

    def write(self, number):
        self.succeeds("logger", "--socket", f"{self.at.directory}/dev-log", "--tag", "t", "--",
                      f"line-{number}")
        self.sent.append(f" line-{number}")

    def written(self):
        self.at.wait_for("the lines are written", lambda: len(self.at.lines(self.log)) >= len(self.sent))

    def test_without_muster_what_is_still_open_is_compressed(self):
        self.write(1)
        self.at.wait_for("the line is written", self.log.exists)
        self.at.stop(self.rsyslog.pid)
        done = self.at.rotate(self.log, f"kill -HUP $(cat {self.pid_file})")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn(f"{self.log}.1 (deleted)", open_files(self.rsyslog.pid))

    def test_without_muster_the_old_log_grows_after_the_rotation(self):
        self.write(1)
        self.at.wait_for("the line is written", self.log.exists)
        self.written()
        self.at.rotate(self.log, "true", "nocompress")
        old = pathlib.Path(f"{self.log}.1")
        before = old.stat().st_size
        self.write(2)
        self.at.wait_for("the old log grows", lambda: old.stat().st_size > before)

    def test_no_line_is_lost_in_ten_rotations_under_load(self):
        self.rotate_ten_times(self.rsyslog, lambda: self.write(len(self.sent)))


class OnAMount(Recipe):
    def start_broker(self):
        if not_seen := super().start_broker():
            self.skipTest(not_seen)
        return ""


class DeleteWhatIsServed(OnAMount):
    def setUp(self):
        super().setUp()
        self.disk = self.mount("disk")
        self.cache = self.disk / "cache"
        self.cache.mkdir()
        (self.cache / "image").write_bytes(bytes(MEGABYTES << 20))
        self.nginx = self.at.start_nginx(self.cache)
        self.download = self.at.client()
        self.addCleanup(self.download.close)
        self.download.send("image")
        self.head = self.download.head()  # and nothing more: nginx keeps the file open
        self.remove = ("rm", "-r", str(self.cache))

    def test_without_muster_the_space_is_not_freed(self):
        self.succeeds(*self.remove)
        self.assertEqual(self.used(self.disk), MEGABYTES)

    def test_nobody_lets_go_of_it_so_nothing_is_deleted_and_the_table_names_nginx(self):
        self.start_broker()
        done = self.at.run("musterctl", "with-released", "--wait", "100ms", str(self.cache), "--",
                           *self.remove)
        self.assertEqual(done.returncode, 6, done.stdout)
        workers = "|".join(map(str, children(self.nginx.pid)))
        self.assertRegex(done.stdout, rf"(?m)^({workers}) .* nginx .* 1 descriptor +{self.cache}/image ")
        self.assertEqual((self.cache / "image").stat().st_size, MEGABYTES << 20)

    def test_it_waits_for_the_download_and_the_space_is_freed(self):
        self.start_broker()
        self.at.start_let_go("nginx", f"{self.at.directory}/nginx.pid", "HUP", "60")
        said = self.at.write("said", "")
        with open(said, "w", encoding="utf-8") as out:
            running = self.at.start("musterctl", "with-released", "--timeout", "60s", str(self.cache), "--",
                                    *self.remove, stdout=out, stderr=subprocess.STDOUT)
        text = pathlib.Path(said).read_text
        self.at.wait_for("it waits", lambda: f"has {self.cache}/image open" in text("utf-8"))
        self.assertEqual((self.cache / "image").stat().st_size, MEGABYTES << 20)
        self.assertEqual(self.download.body(self.head), MEGABYTES << 20)
        self.assertEqual(running.wait(60), 0, text("utf-8"))
        self.assertIn("1 of 1 acked, nobody holds a file", text("utf-8"))
        self.assertFalse(self.cache.exists())
        self.assertEqual(self.used(self.disk), 0)

    def test_a_download_that_goes_on_for_too_long_is_named_and_nothing_is_deleted(self):
        self.start_broker()
        self.at.start_let_go("nginx", f"{self.at.directory}/nginx.pid", "HUP", "1")
        done = self.at.run("musterctl", "with-released", str(self.cache), "--", *self.remove)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stdout, rf"still: process \d+ has {self.cache}/image open")
        self.assertEqual(self.download.body(self.head), MEGABYTES << 20)


class UnmountWhatIsServed(OnAMount):
    def setUp(self):
        super().setUp()
        self.disk = self.mount("disk")
        (self.disk / "page").write_text("content")

    def serve(self):
        """With files that stay open after they were asked for."""
        self.at.start_nginx(self.disk, "open_file_cache max=10 inactive=1h;")
        client = self.at.client()
        client.get("page")
        client.close()

    def is_mounted(self):
        return self.at.run("mountpoint", "-q", str(self.disk)).returncode == 0

    def test_without_muster_the_target_is_busy(self):
        self.serve()
        done = self.at.run("umount", str(self.disk))
        self.assertEqual(done.returncode, 32, done.stdout)
        self.assertIn("target is busy", done.stdout)

    def test_musterctl_umount_unmounts_it(self):
        self.serve()
        self.start_broker()
        self.at.start_let_go("nginx", f"{self.at.directory}/nginx.pid", "HUP")
        said = self.succeeds("musterctl", "umount", str(self.disk))
        self.assertIn(f"Unmounted: {self.disk}.", said)
        self.assertFalse(self.is_mounted())

    def test_nginx_that_logs_there_is_named_and_it_stays_mounted(self):
        nginx = self.at.start_nginx(self.at.folder("served"), log=self.disk / "access.log")
        self.start_broker()
        self.at.start_let_go("nginx", f"{self.at.directory}/nginx.pid", "USR1", "1")
        done = self.at.run("musterctl", "umount", str(self.disk))
        self.assertEqual(done.returncode, 6, done.stdout)
        self.assertIn(f"Not unmounted: {self.disk}", done.stdout)
        self.assertRegex(done.stdout, rf"still: process \d+ has {self.disk}/access.log open")
        self.assertTrue(self.is_mounted())
        nginx.terminate()
        nginx.wait()
        self.succeeds("musterctl", "umount", str(self.disk))
        self.assertFalse(self.is_mounted())


if __name__ == "__main__":
    PROGRAMS, PROBLEM = commands.unpack_debian(BUILD)
    if PROBLEM:
        print(f"skipped: {PROBLEM}")
        sys.exit(77)
    NO_MOUNTS = scratch.enter()
    NOTES = []
    RESULT = unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2, exit=False).result
    NOTES += [f"{test.id()}: {why}" for test, why in RESULT.skipped]
    for note in NOTES:
        print(f"skipped: {note.removeprefix('__main__.')}")
    sys.exit(0 if RESULT.wasSuccessful() else 1)
