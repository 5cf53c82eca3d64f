#!/usr/bin/python
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: rsio_volume
short_description: Manage a volume of RSIO servers
description:
  - Creates, grows, changes, attaches, detaches or removes a volume. What the task does not say stays as it is.
  - A volume is found by its name. The task fails if several servers have one of this name, unless O(server) names one, and if a server does not answer
    that may have it.
  - A volume never becomes smaller. A removed volume can be brought back for a day with C(rsconfig volume restore).
  - The client of the managed host needs the right C(manage) to change volumes, and none to attach what it is offered.
author: OSL (@osl)
options:
  name:
    description: Name of the volume.
    type: str
    required: true
  state:
    description:
      - V(present) means that the volume exists.
      - V(attached) means that it exists, and that this host has attached it.
      - V(detached) means that this host has attached no volume or mirror of this name.
      - V(absent) means that it does not exist. A volume that a client holds is not removed.
    type: str
    choices: [present, attached, detached, absent]
    default: present
  size:
    description: Size, such as V(20g). A new volume needs it. A smaller volume grows.
    type: str
  pool:
    description: Pool of a new volume. A volume that is in another pool is an error.
    type: str
  server:
    description: Server of the volume. Without it, the servers choose where a new volume is made.
    type: str
  namespace:
    description: Namespace of the servers, if the client of the managed host has several.
    type: str
  clients:
    description: Clients that may attach the volume, or V(all). The client of the host needs the right C(admin), unless the volume is its own.
    type: list
    elements: str
  read_only:
    description: Whether this host attaches the volume read-only.
    type: bool
    default: false
  shared:
    description: Whether several clients may write at the same time.
    type: bool
  snapshots:
    description: Schedule of snapshots, such as V(hourly keep 24, daily keep 7, monthly keep 12), or V(none).
    type: str
  note:
    description: A note about the volume; an empty one removes it.
    type: str
  wait:
    description: How long to wait for a server or a holder, such as V(30s).
    type: str
    default: 1m
  rsconfig:
    description: The program rsconfig.
    type: path
    default: rsconfig
attributes:
  check_mode:
    description: In check mode, the module changes nothing and says what it would change.
    support: full
  diff_mode:
    description: The module shows the difference.
    support: full
"""

EXAMPLES = r"""
- name: The database has a volume, with snapshots
  osl.rsio.rsio_volume:
    name: db
    size: 20g
    pool: fast
    snapshots: hourly keep 24, daily keep 7
    state: attached
  register: db

- name: The volume has a file system
  community.general.filesystem:
    fstype: xfs
    dev: "{{ db.device }}"
"""

RETURN = r"""
device:
  description: Path of the block device, or the NBD URI if this host has no block devices. Null if the volume is not attached.
  returned: always
  type: str
volume:
  description: The volume, as rsconfig volume show prints it. Null if it does not exist.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.osl.rsio.plugins.module_utils.rsconfig import COMMON, Rsconfig, bytes_of, diff_of


def find(module, rsconfig):
    """Returns the volume with its server, or None, and why it is not sure that there is no other one; None: it is sure."""
    params = module.params
    name = params["name"]
    servers = rsconfig.run(["volume", "list"] + rsconfig.place("server", "namespace"), may_fail=True)["servers"]
    found = [(one, volume) for one in servers for volume in one["volumes"] if volume["name"] == name and volume["universe"] == 0]
    if any(volume["mirror"] is not None for _server, volume in found):
        module.fail_json(msg="%s is a mirror: use osl.rsio.rsio_mirror" % name)
    if len(found) > 1:
        places = ", ".join("%s of %s" % (server["server"], server["namespace"]) for server, _volume in found)
        module.fail_json(msg="Several servers have a volume %s: %s. Give server or namespace" % (name, places))
    unsure = "; ".join("%s: %s" % (one["server"], one["error"]["message"]) for one in servers if one["error"] is not None) or None
    if not found and (unsure is not None or not servers):
        module.fail_json(msg="Whether volume %s exists is not known: %s" % (name, unsure or "this host has no servers"))
    return found[0] if found else None, unsure


def settings_of(volume):
    """Returns what a task can say about a volume that exists, in the words of the task."""
    return dict(
        size=volume["sizeBytes"],
        clients=["all"] if volume["clients"] is None else sorted(volume["clients"]),
        shared=volume["shared"],
        snapshots=(volume["schedule"] or {}).get("text") or "none",
        note=volume.get("note") or "",
    )


def wanted_of(module, its):
    """Returns what the task wants of a volume that has these settings."""
    params = module.params
    size = its["size"] if params["size"] is None else bytes_of(module, params["size"])
    if its["size"] is not None and size is not None and size < its["size"]:
        module.fail_json(msg="Volume %s has %d bytes, and a volume never becomes smaller" % (params["name"], its["size"]))
    given = dict(
        size=size,
        clients=None if params["clients"] is None else sorted(set(params["clients"])),
        shared=params["shared"],
        snapshots=None if params["snapshots"] is None else ", ".join(" ".join(rule.split()) for rule in params["snapshots"].split(",")),
        note=None if params["note"] is None else params["note"].strip(),
    )
    return dict((key, its[key] if value is None else value) for key, value in given.items())


def check_known(module, volume):
    """Fails if the server does not tell this client the whole list of clients, because any list would seem to be right."""
    parts = [] if volume["layout"] is None else volume["layout"]["parts"]
    is_whole = volume["path"] is not None or any(part["path"] is not None for part in parts) or volume.get("isOwn") is True
    if module.params["clients"] is not None and volume["clients"] is not None and not is_whole:
        module.fail_json(msg="The server tells this client only its own name in the list of clients of %s: leave out clients, or use a client with the right admin" % module.params["name"])


def check_pool(module, volume):
    wanted = module.params["pool"]
    pools = [volume["pool"]] if volume["layout"] is None else [part["pool"] for part in volume["layout"]["parts"]]
    if wanted is not None and wanted not in pools:
        said = "%s is in pool %s and not in %s" % (module.params["name"], ", ".join(str(pool) for pool in pools), wanted)
        module.fail_json(msg="Volume %s: rsconfig volume move moves it" % said)


def create(module, rsconfig):
    params = module.params
    args = ["volume", "create", params["name"], "--size", params["size"]] + rsconfig.place("pool", "server", "namespace")
    args += ["--clients=" + ",".join(params["clients"])] if params["clients"] is not None else []
    args += ["--shared"] if params["shared"] else []
    return rsconfig.run(args)


def change(module, rsconfig, its, wanted):
    """Makes an existing volume as the task wants it. Without the option server, rsconfig refuses a name that is not unique."""
    name = module.params["name"]
    at = rsconfig.place("server", "namespace")
    if wanted["size"] != its["size"]:
        rsconfig.run(["volume", "grow", name, str(wanted["size"])] + at)
    texts = dict(
        clients=",".join(wanted["clients"]),
        shared="yes" if wanted["shared"] else "no",
        snapshots=wanted["snapshots"],
    )
    entries = ["%s=%s" % (key, texts[key]) for key in sorted(texts) if wanted[key] != its[key]]
    if entries:
        rsconfig.run(["volume", "set", name] + entries + at)
    if wanted["note"] != its["note"]:
        rsconfig.run(["volume", "annotate"] + at + ["--json", "--", name, wanted["note"]])


def main():
    module = AnsibleModule(
        argument_spec=dict(
            name=dict(type="str", required=True),
            state=dict(type="str", choices=["present", "attached", "detached", "absent"], default="present"),
            size=dict(type="str"),
            pool=dict(type="str"),
            server=dict(type="str"),
            clients=dict(type="list", elements="str"),
            read_only=dict(type="bool", default=False),
            shared=dict(type="bool"),
            snapshots=dict(type="str"),
            note=dict(type="str"),
            **COMMON
        ),
        supports_check_mode=True,
    )
    params = module.params
    name, state = params["name"], params["state"]
    rsconfig = Rsconfig(module)
    rsconfig.check_name()
    if state == "detached":
        detach(module, rsconfig)
    found, unsure = find(module, rsconfig)
    place, volume = found or (None, None)
    attachment = None if volume is None else rsconfig.attachment_of(name, place["namespace"], volume["id"])
    before = dict(exists=volume is not None, attached=attachment is not None)
    after = dict(before)
    if state == "absent":
        after["exists"] = False
        if attachment is not None:
            module.fail_json(msg="Volume %s is attached here: detach it first" % name)
        if volume is not None:
            check_sure(module, unsure)
        if volume is not None and not module.check_mode:
            rsconfig.run(["volume", "remove", name, "--yes"] + rsconfig.place("server", "namespace"))
    else:
        make(module, rsconfig, found, attachment, unsure, before, after)
    found, _unsure = find(module, rsconfig)
    place, volume = found or (None, None)
    attachment = None if volume is None else rsconfig.attachment_of(name, place["namespace"], volume["id"])
    if not module.check_mode and volume is not None and before["exists"] and state != "absent":
        # The server has a form of its own for what the task says, such as 1h for 60m.
        after.update(settings_of(volume))
    device = None if attachment is None else attachment.get("blockDevice")
    module.exit_json(changed=before != after, device=device, volume=volume, diff=diff_of(before, after))


def check_sure(module, unsure):
    """A server that does not answer may have another volume of this name, and a newer one."""
    if unsure is not None and module.params["server"] is None:
        module.fail_json(msg="Whether there is another volume %s is not known: %s. Give server to mean this one" % (module.params["name"], unsure))


def detach(module, rsconfig):
    params = module.params
    if params["server"] is not None:
        module.fail_json(msg="A volume is detached by its name and namespace: leave out server")
    attachment = rsconfig.only_attachment(params["name"])
    if attachment is not None and not module.check_mode:
        rsconfig.detach(attachment["namespace"], params["name"])
    before, after = dict(attached=attachment is not None), dict(attached=False)
    module.exit_json(changed=before != after, device=None, volume=None, diff=diff_of(before, after))


def make(module, rsconfig, found, attachment, unsure, before, after):
    """Creates or changes the volume, and attaches it if the task says so. Completes what was and what is."""
    params = module.params
    if params["state"] == "attached":
        after["attached"] = True
        if attachment is not None and attachment["readonly"] != params["read_only"]:
            word = "read-only" if attachment["readonly"] else "read-write"
            module.fail_json(msg="Volume %s is attached %s: detach it first" % (params["name"], word))
    after["exists"] = True
    place, volume = found or (None, None)
    if volume is None:
        if params["size"] is None:
            module.fail_json(msg="No volume %s: give its size, so that it can be created" % params["name"])
        after["size"] = bytes_of(module, params["size"])
        if module.check_mode:
            return
        place = create(module, rsconfig)
        volume = place["volume"]
    check_pool(module, volume)
    check_known(module, volume)
    its = settings_of(volume)
    wanted = wanted_of(module, its)
    if before["exists"]:
        before.update(its)
        after.update(wanted)
    if before != after:
        check_sure(module, unsure)
    if module.check_mode:
        return
    change(module, rsconfig, its, wanted)
    if after["attached"] and not before["attached"]:
        rsconfig.attach(place["namespace"], params["name"], params["read_only"], rsconfig.place("server"))


if __name__ == "__main__":
    main()
