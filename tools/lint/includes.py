#!/usr/bin/env python3
"""Holds the directions of Muster's includes.

    includes.py [ROOT]       check the tree; one line a violation, exit status 1 if there are any
    includes.py --self-test  plant violations in a temporary tree and see that each is found

A layer is a folder; what it may include of ours stands in LAYERS. Libraries of others that shape
a layer (Asio, Protobuf, ..) stand in LIBRARIES with the layers that may use them.
"""
import re
import sys
import tempfile
from pathlib import Path

# layer: (its folder, the layers that it may include)
LAYERS = {
    "model": ("lib/model", {"model"}),
    "core": ("lib/core", {"core", "model"}),
    "wire": ("lib/wire", {"wire", "model"}),
    "os": ("lib/os", {"os", "model"}),
    "net": ("lib/net", {"net", "wire", "os", "model"}),
    "broker": ("lib/broker", {"broker", "core", "net", "wire", "os", "model"}),
    "sdk": ("lib/sdk", {"sdk", "net", "wire", "os", "model"}),
    "musterctl": ("daemon/musterctl", {"musterctl", "sdk", "wire", "os", "model"}),
    "muster-scan": ("daemon/muster-scan", {"muster-scan", "net", "wire", "os", "model"}),
    "musterd": ("daemon/musterd", {"musterd", "broker", "core", "net", "wire", "os", "model"}),
}

# Public headers lie together in lib/include/muster; these belong to a layer, all others to the
# model. A public header may include what its layer may, but only public headers.
PUBLIC = {
    "muster/backend.h": "sdk",
    "muster/control.h": "sdk",
    "muster/json.h": "wire",
    "muster/socket_dir.h": "os",
}
PUBLIC_FOLDER = "lib/include"

# pattern of an include: the layers that may have it
LIBRARIES = {
    r"asio(\.hpp|/.*)": {"net", "broker", "sdk", "musterd"},
    r"muster/v1/(.*\.pb|schema_bytes)\.h": {"wire"},  # generated
    r"google/protobuf/.*": {"wire"},
    r"spdlog/.*|fmt/.*": {"net", "broker", "musterd"},
    r"CLI/.*": {"musterd", "musterctl"},
    r"toml\+\+/.*": {"musterd"},
    r"systemd/.*": {"os", "musterd", "muster-scan"},
    r"sqlite3\.h": {"musterd"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def layer_of_file(path):
    """The layer of a file, by its path from the root; None if it is free (tests)."""
    if path.startswith(PUBLIC_FOLDER + "/"):
        return PUBLIC.get(path[len(PUBLIC_FOLDER) + 1 :], "model")
    for layer, (folder, _) in LAYERS.items():
        if path.startswith(folder + "/"):
            return layer
    return None


def resolve(root, path, target):
    """The included file of ours, by its path from the root, and whether it is spelled from one of
    the include roots; None if it is not ours."""
    places = [Path(PUBLIC_FOLDER), Path("lib")]
    if path.startswith("daemon/"):
        places.append(Path("daemon"))
    for place in places:
        if (root / place / target).is_file():
            return (place / target).as_posix(), ".." not in Path(target).parts
    if (root / Path(path).parent / target).is_file():
        return (Path(path).parent / target).as_posix(), False
    return None, False


def violations(root):
    files = [f for d in ("lib", "daemon") for f in sorted((root / d).rglob("*"))]
    for file in files:
        if file.suffix not in (".h", ".cpp"):
            continue
        path = file.relative_to(root).as_posix()
        layer = layer_of_file(path)
        if layer is None:
            yield f"{path}: belongs to no layer: give its folder a line in tools/lint/includes.py"
            continue
        public = path.startswith(PUBLIC_FOLDER + "/")
        text = file.read_text()
        for match in INCLUDE.finditer(text):
            bracket, target = match.groups()
            where = f"{path}:{text.count(chr(10), 0, match.start(1)) + 1}"
            library = next((l for l in LIBRARIES if re.fullmatch(l, target)), None)
            if library is not None:
                if public or layer not in LIBRARIES[library]:
                    yield f"{where}: {layer} may not include {target}"
                continue
            ours, well_spelled = resolve(root, path, target)
            if ours is None:
                if bracket == '"':
                    yield f"{where}: there is no {target} of ours: <> is for what others wrote"
                continue
            if bracket == "<":
                yield f"{where}: {target} is ours: include it with quotes"
            if not well_spelled:
                yield f'{where}: spell {target} from lib/ or daemon/, as "layer/file.h"'
            other = layer_of_file(ours)
            if other not in LAYERS[layer][1]:
                yield f"{where}: {layer} may not include {target} of {other}"
            elif public and not ours.startswith(PUBLIC_FOLDER + "/"):
                yield f"{where}: a public header may not include {target}, which is not installed"


def self_test():
    planted = {
        "lib/model/a.cpp": ('#include "core/core.h"', "model may not include core/core.h of core"),
        "lib/model/b.cpp": ("#include <asio.hpp>", "model may not include asio.hpp"),
        "lib/core/a.cpp": ('#include "wire/wire.h"', "core may not include wire/wire.h of wire"),
        "lib/core/b.cpp": ('#include "core/core.h"\n#  include <asio/ip/tcp.hpp>',
                           "b.cpp:2: core may not include asio/ip/tcp.hpp"),
        "lib/wire/a.cpp": ('#include "core/core.h"', "wire may not include core/core.h of core"),
        "lib/net/a.cpp": ('#include "muster/v1/control.pb.h"',
                          "net may not include muster/v1/control.pb.h"),
        "lib/os/a.cpp": ('#include "net/net.h"', "os may not include net/net.h of net"),
        "lib/broker/a.cpp": ('#include "muster/backend.h"',
                             "broker may not include muster/backend.h of sdk"),
        "lib/sdk/a.cpp": ('#include "broker/broker.h"',
                          "sdk may not include broker/broker.h of broker"),
        "lib/sdk/b.cpp": ('#include "../net/net.h"', "spell ../net/net.h from lib/ or daemon/"),
        "lib/sdk/e.cpp": ('#include "sdk.h"', "spell sdk.h from lib/ or daemon/"),
        "lib/sdk/f.cpp": ('#include "net/../net/net.h"', "spell net/../net/net.h from lib/"),
        "lib/sdk/c.cpp": ("#include <net/net.h>", "net/net.h is ours"),
        "lib/sdk/d.cpp": ('#include "net/nothing.h"', "there is no net/nothing.h of ours"),
        "lib/include/muster/key.h": ('#include "model/secret.h"', "which is not installed"),
        "lib/include/muster/policy.h": ('#include "muster/control.h"',
                                        "model may not include muster/control.h of sdk"),
        "daemon/musterd/a.cpp": ('#include "muster/control.h"',
                                 "musterd may not include muster/control.h of sdk"),
        "daemon/musterd/b.cpp": ('#include "musterctl/text.h"',
                                 "musterd may not include musterctl/text.h of musterctl"),
        "daemon/musterctl/a.cpp": ('#include "musterd/control/plane.h"',
                                   "musterctl may not include musterd/control/plane.h of musterd"),
        "lib/misc/a.cpp": ("", "lib/misc/a.cpp: belongs to no layer"),
    }
    good = {
        "lib/core/core.h": '#include "muster/result.h"\n#include <vector>',
        "lib/wire/wire.h": '#include "muster/v1/control.pb.h"\n#include <google/protobuf/arena.h>',
        "lib/net/net.h": '#include "wire/wire.h"\n#include <asio.hpp>',
        "lib/broker/broker.h": '#include "core/core.h"\n#include "net/net.h"',
        "lib/model/secret.h": "",
        "lib/include/muster/result.h": "#include <string>",
        "lib/include/muster/backend.h": '#include "muster/result.h"',
        "lib/include/muster/control.h": '#include "muster/result.h"',
        "daemon/musterd/control/plane.h": '#include "broker/broker.h"',
        "lib/sdk/sdk.h": '#include "sdk/sdk.h"',
        "daemon/musterd/daemon.h": "",
        "daemon/musterd/main.cpp": '#include "musterd/daemon.h"',
        "daemon/musterctl/text.h": '#include "muster/control.h"',
    }
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path, text in [*good.items(), *((p, t) for p, (t, _) in planted.items())]:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text + "\n")
        found = list(violations(root))
    wrong = [f"not found: {path}: {want}" for path, (_, want) in planted.items()
             if not any(path in line and want in line for line in found)]
    wrong += [f"found in a good file: {line}" for line in found
              if line.split(":")[0] not in planted]
    return wrong


def main():
    if sys.argv[1:] == ["--self-test"]:
        problems = self_test()
    else:
        problems = list(violations(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
