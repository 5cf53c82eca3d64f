# Runs rsconfig, and reads what it prints. What several modules decide alike is here.
# Invariant: a module reports a change only if a server or rsiod has said that it was made, or, in check mode, that it would be.

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import json
import os
import re
import tempfile

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}

COMMON = dict(
    namespace=dict(type="str"),
    wait=dict(type="str", default="1m"),
    rsconfig=dict(type="path", default="rsconfig"),
)


class Rsconfig(object):
    def __init__(self, module):
        self.module = module
        self.program = module.get_bin_path(module.params["rsconfig"], required=True)

    def run(self, args, may_fail=False):
        """Returns what rsconfig prints with --json. Ends the module with its error, unless the caller reads the answer of a failed command."""
        code, out, err = self.module.run_command([self.program] + args + ([] if "--json" in args else ["--json"]))
        try:
            answer = json.loads(out)
        except ValueError:
            answer = None
        if answer is None or (code != 0 and not may_fail):
            self.fail(args, err.strip() or out.strip() or "rsconfig ended with code %d" % code)
        return answer

    def fail(self, args, said):
        words = [word for word in args if not word.startswith("-")][:2]
        self.module.fail_json(msg="rsconfig %s: %s" % (" ".join(words), said))

    def place(self, *keys):
        """Options that name a server and a namespace, as far as the task gives them."""
        params = self.module.params
        return [word for key in keys if params.get(key) is not None for word in ("--" + key, params[key])]

    def check_name(self):
        """A name with a namespace, a universe or a snapshot would be another thing for each command."""
        name = self.module.params["name"]
        if not re.match(r"^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,62}$", name):
            self.module.fail_json(msg="Wrong name %r: allowed are 1 to 63 letters, digits, _, . and -, without a namespace" % name)

    def attachments(self, name):
        """Returns how this host has attached volumes of this name. One that waits for its server counts as attached."""
        local = self.run(["-l"])
        namespace = self.module.params["namespace"]
        return [
            one
            for one in local["attachments"] + local["awaited"]
            if one["name"] == name and one["universe"] == 0 and namespace in (None, one["namespace"])
        ]

    def attachment_of(self, name, namespace, identity):
        """Returns how this host has attached this very volume; None: not at all. Fails if it has attached another one of this name."""
        for one in self.attachments(name):
            if one["namespace"] != namespace:
                continue
            if one["id"] == identity:
                return one
            self.module.fail_json(msg="Another volume %s:%s is attached here, with the id %s: detach it first" % (namespace, name, one["id"]))
        return None

    def only_attachment(self, name):
        found = self.attachments(name)
        if len(found) > 1:
            self.module.fail_json(msg="Volumes %s of several namespaces are attached here: give namespace" % name)
        return found[0] if found else None

    def attach(self, namespace, name, read_only, more=()):
        label = "%s:%s" % (namespace, name)
        self.run(["-a", label, "--wait=" + self.module.params["wait"]] + (["--read-only"] if read_only else []) + list(more))

    def detach(self, namespace, name):
        self.run(["-d", "%s:%s" % (namespace, name), "--wait=" + self.module.params["wait"]])

    def spread(self, text, options):
        """Applies a text of rsio-namespace(5) at all servers. Returns the sentences about what has changed, one for each change at a server."""
        file, path = tempfile.mkstemp(prefix="rsio-", dir=self.module.tmpdir)
        try:
            with os.fdopen(file, "w") as handle:
                handle.write(text)
            return self.spread_file(path, options)
        finally:
            os.unlink(path)

    def spread_file(self, path, options):
        params = self.module.params
        flags = ["--plan"] if self.module.check_mode else ["--wait=" + params["wait"]]
        args = ["apply", path] + flags + list(options) + (["--plain"] if params["plain"] else [])
        servers = self.run(args, may_fail=True)["servers"]
        changes = []
        for one in servers:
            if one["result"] is not None:
                changes += ["%s: %s" % (one["server"], sentence) for sentence in one["result"]["changes"]]
        failed = ["%s: %s" % (one["server"], one["error"]["message"]) for one in servers if one["error"] is not None]
        if failed:
            self.module.fail_json(msg="; ".join(failed), changed=bool(changes) and not self.module.check_mode, changes=changes)
        return changes


def bytes_of(module, text):
    """Returns the bytes of a size such as 20g, as rsconfig reads it."""
    number, unit = text.strip().lower(), ""
    if number and number[-1] in UNITS:
        number, unit = number[:-1], number[-1]
    if not number.isdigit():
        module.fail_json(msg="Wrong size %r: allowed is a whole number with k, m, g, t or p, such as 20g" % text)
    return int(number) * UNITS[unit]


def diff_of(before, after):
    """Returns the difference as Ansible shows it."""
    return dict(before=json.dumps(before, indent=2, sort_keys=True) + "\n", after=json.dumps(after, indent=2, sort_keys=True) + "\n")
