#!/usr/bin/python
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: rsio_mirror
short_description: Manage a mirror of RSIO servers
description:
  - Creates, grows, attaches, detaches or dissolves a mirror, a volume with replicas on two or three servers.
  - Servers and witness of a mirror that exists are compared and never changed, because a replica is replaced only by a person who knows why
    (C(rsconfig mirror replace), C(rsconfig mirror add), C(rsconfig mirror witness)).
  - The client of the managed host needs the right C(manage) at the servers of the replicas.
author: OSL (@osl)
options:
  name:
    description: Name of the mirror.
    type: str
    required: true
  state:
    description:
      - V(present) means that the mirror exists.
      - V(attached) means that it exists, and that this host has attached it.
      - V(detached) means that this host has not attached it.
      - V(absent) means that it does not exist. A mirror that a client has attached is not dissolved.
    type: str
    choices: [present, attached, detached, absent]
    default: present
  size:
    description: Size, such as V(20g). A new mirror needs it. A smaller mirror grows, on the host that has attached it.
    type: str
  servers:
    description: Servers of the replicas. A new mirror needs them.
    type: list
    elements: str
  witness:
    description: Server that votes and has no replica.
    type: str
  pool:
    description: Pool of a new mirror on all servers, or V(A=P,B=Q) for the servers A and B.
    type: str
  remove_volumes:
    description: With V(absent), also remove the volumes that were the replicas. They can be brought back for a day.
    type: bool
    default: false
  namespace:
    description: Namespace of the servers, if the client of the managed host has several.
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
- name: The database survives the loss of a server
  osl.rsio.rsio_mirror:
    name: orders
    size: 100g
    servers: [big-9, big-8]
    witness: big-7
    state: attached
"""

RETURN = r"""
device:
  description: Path of the block device, or the NBD URI if this host has no block devices. Null if the mirror is not attached.
  returned: always
  type: str
mirror:
  description: The mirror, as rsconfig mirror list prints it. Null if it does not exist.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.osl.rsio.plugins.module_utils.rsconfig import COMMON, Rsconfig, bytes_of, diff_of


def find(module, rsconfig):
    """Returns the mirror; None: there is none."""
    name = module.params["name"]
    answer = rsconfig.run(["mirror", "list"] + rsconfig.place("namespace"), may_fail=True)
    found = [one for one in answer["mirrors"] if one["name"] == name and one["universe"] == 0]
    if len(found) > 1:
        module.fail_json(msg="Several mirrors have the name %s: rsconfig mirror list shows them" % name)
    if not found and answer["gaps"]:
        module.fail_json(msg="Whether mirror %s exists is not known: %s" % (name, "; ".join(answer["gaps"])))
    if found and found[0]["state"] != "known":
        module.fail_json(msg="The state of mirror %s is %s: rsconfig mirror list says why" % (name, found[0]["state"]))
    return found[0] if found else None


def check_same(module, mirror):
    """Ends the module if the mirror has other servers than the task wants."""
    params = module.params
    replicas = sorted(one["server"] for one in mirror["replicas"])
    if params["servers"] is not None and sorted(params["servers"]) != replicas:
        said = "its replicas are on %s: rsconfig mirror replace and rsconfig mirror add change that" % ", ".join(replicas)
        module.fail_json(msg="Mirror %s is another one; %s" % (params["name"], said))
    others = [one["server"] for one in mirror["voters"] if one["server"] not in replicas]
    if params["witness"] is not None and [params["witness"]] != others:
        said = "its witness is %s: rsconfig mirror witness changes that" % (", ".join(others) or "none")
        module.fail_json(msg="Mirror %s is another one; %s" % (params["name"], said))


def create(module, rsconfig):
    params = module.params
    args = ["mirror", "create", params["name"], "--size", params["size"], "--servers", ",".join(params["servers"])]
    return rsconfig.run(args + rsconfig.place("witness", "pool", "namespace"))["mirror"]


def make(module, rsconfig, mirror, before, after):
    """Creates or grows the mirror, and attaches it if the task says so. Completes what was and what is."""
    params = module.params
    after.update(exists=True, attached=before["attached"] or params["state"] == "attached")
    if mirror is None:
        if params["size"] is None or not params["servers"]:
            module.fail_json(msg="No mirror %s: give size and servers, so that it can be created" % params["name"])
        after["size"] = bytes_of(module, params["size"])
        if module.check_mode:
            return
        mirror = create(module, rsconfig)
    check_same(module, mirror)
    size = mirror["sizeBytes"] if params["size"] is None else bytes_of(module, params["size"])
    if before["exists"]:
        before["size"], after["size"] = mirror["sizeBytes"], size
    if mirror["sizeBytes"] is not None and size is not None and size < mirror["sizeBytes"]:
        module.fail_json(msg="Mirror %s has %d bytes, and a mirror never becomes smaller" % (params["name"], mirror["sizeBytes"]))
    if size != mirror["sizeBytes"] and not after["attached"]:
        module.fail_json(msg="Mirror %s is not attached here: it grows where it is attached" % params["name"])
    if module.check_mode:
        return
    if after["attached"] and not before["attached"]:
        rsconfig.attach(mirror["namespace"], params["name"], False)
    if size != mirror["sizeBytes"]:
        rsconfig.run(["mirror", "grow", params["name"], str(size)] + rsconfig.place("namespace"))


def main():
    module = AnsibleModule(
        argument_spec=dict(
            name=dict(type="str", required=True),
            state=dict(type="str", choices=["present", "attached", "detached", "absent"], default="present"),
            size=dict(type="str"),
            servers=dict(type="list", elements="str"),
            witness=dict(type="str"),
            pool=dict(type="str"),
            remove_volumes=dict(type="bool", default=False),
            **COMMON
        ),
        supports_check_mode=True,
    )
    params = module.params
    name, state = params["name"], params["state"]
    rsconfig = Rsconfig(module)
    rsconfig.check_name()
    mirror = find(module, rsconfig)
    attachment = None if mirror is None else rsconfig.attachment_of(name, mirror["namespace"], mirror["mirror"])
    before = dict(exists=mirror is not None, attached=attachment is not None)
    after = dict(before)
    if state == "detached":
        after["attached"] = False
        if attachment is not None and not module.check_mode:
            rsconfig.detach(attachment["namespace"], name)
    elif state == "absent":
        after["exists"] = False
        if attachment is not None:
            module.fail_json(msg="Mirror %s is attached here: detach it first" % name)
        if mirror is not None and not module.check_mode:
            more = ["--volumes"] if params["remove_volumes"] else []
            answer = rsconfig.run(["mirror", "remove", name, "--id", mirror["mirror"]] + more + rsconfig.place("namespace"), may_fail=True)
            if answer["left"]:
                module.fail_json(msg="Mirror %s is dissolved, and something is left: %s" % (name, "; ".join(answer["left"])), changed=True)
    else:
        make(module, rsconfig, mirror, before, after)
    mirror = find(module, rsconfig)
    attachment = None if mirror is None else rsconfig.attachment_of(name, mirror["namespace"], mirror["mirror"])
    device = None if attachment is None else attachment.get("blockDevice")
    module.exit_json(changed=before != after, device=device, mirror=mirror, diff=diff_of(before, after))


if __name__ == "__main__":
    main()
