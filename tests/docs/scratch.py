"""A mount namespace in which the tree can be written without a trace."""
import os
import pathlib
import sys

from commands import Failed, run, runs

TREE = pathlib.Path(__file__).resolve().parents[2]


def enter():
    """Starts this script again inside one. Returns there "", or why that cannot be."""
    if os.environ.pop("MUSTER_DOCS_INSIDE", ""):
        try:
            mount_scratch()
        except (OSError, Failed) as error:
            return f"no overlay can be mounted here: {' '.join(str(error).split())}"
        return ""
    if os.geteuid() != 0:
        return "needs root, to run in an overlay of the tree"
    apart = ["unshare", "--mount", "--propagation", "private"]
    if not runs([*apart, "true"]):
        if runs(["unshare", "--mount", "--propagation", "unchanged", "true"]):
            return ("mounts cannot be made private here (the root of a chroot is no mount "
                    "point)")
        return "no mount namespace can be made here (CAP_SYS_ADMIN)"
    os.environ["MUSTER_DOCS_INSIDE"] = "1"
    sys.stdout.flush()
    return os.execvp("unshare", [*apart, sys.executable, *sys.argv])


def mount_scratch():
    scratch = "/mnt"
    run(["mount", "-t", "tmpfs", "none", scratch])

    def overlay(name, place, more):
        upper, work = f"{scratch}/{name}/upper", f"{scratch}/{name}/work"
        os.makedirs(upper)
        os.makedirs(work)
        run(["mount", "-t", "overlay", "none", place, "-o",
             f"lowerdir={place},upperdir={upper},workdir={work}{more}"])

    # In a user namespace a folder that was replaced is marked in another way, if at all.
    for number, more in enumerate(("", ",userxattr")):
        place = f"{scratch}/try{number}"
        os.makedirs(f"{place}/folder")
        try:
            overlay(f"tried{number}", place, more)
            os.rmdir(f"{place}/folder")
            os.mkdir(f"{place}/folder")
            break
        except (OSError, Failed) as error:
            problem = error
    else:
        raise problem
    overlay("tree", str(TREE), more)
    overlay("lib", "/var/lib", more)
    # In a container even root may be kept from looking at its first process. The host of a reader
    # lets root do so.
    run(["mount", "-t", "tmpfs", "none", "/proc/1"])
    # No block sees how this host's broker is configured.
    if os.path.isdir("/etc/muster"):
        run(["mount", "-t", "tmpfs", "none", "/etc/muster"])
    if not TREE.is_relative_to("/tmp"):
        run(["mount", "-t", "tmpfs", "none", "/tmp"])
    os.chdir(TREE)
