#!/usr/bin/python
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: rsio_client
short_description: Manage a client of all servers of an RSIO namespace
description:
  - Adds, changes or removes a client at all servers of a namespace. What the task does not say stays as it is.
  - If the client has another key at a server, the server accepts both. A later run ends the other key when the client uses the new one everywhere.
  - The task fails if a server is away or refuses the order. A server refuses to remove a client that holds a volume there.
  - If all clients stand in one file, use M(osl.rsio.rsio_namespace) instead, because C(rsconfig drift) compares the servers with that file.
  - The client of the managed host needs the right C(admin). Run the module on one host.
author: OSL (@osl)
options:
  name:
    description: Name of the client.
    type: str
    required: true
  state:
    description: Whether the servers have the client.
    type: str
    choices: [present, absent]
    default: present
  key:
    description: Key of the client. A new client needs O(key) or O(key_file). C(rsconfig key new) makes one.
    type: str
  key_file:
    description: File with the key, on the managed host.
    type: path
  rights:
    description: What the client may do, as in C([rights]) of rssrvcfg(5), such as V(manage pool=fast limit=500g).
    type: str
  iops:
    description: Requests per second at each server, or V(off).
    type: str
  bandwidth:
    description: Bytes per second at each server, such as V(400m), or V(off).
    type: str
  burst:
    description: Time for which unused limits accumulate, such as V(2s), or V(off).
    type: str
  namespace:
    description: Namespace of the servers, if the client of the managed host has several.
    type: str
  plain:
    description: Send keys even over paths that are not encrypted.
    type: bool
    default: false
  wait:
    description: How long to wait for servers that are away, such as V(30s).
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
- name: The database hosts may connect to all servers
  osl.rsio.rsio_client:
    name: "{{ item }}"
    key: "{{ lookup('ansible.builtin.file', 'keys/' ~ item) }}"
    rights: manage pool=fast limit=500g
  loop: [db-1, db-2]
  run_once: true
"""

RETURN = r"""
changes:
  description: One sentence for each change at a server.
  returned: always
  type: list
  elements: str
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.osl.rsio.plugins.module_utils.rsconfig import COMMON, Rsconfig

LIMITS = ("iops", "bandwidth", "burst")


def namespace_of(module, rsconfig):
    """Returns name and number of the namespace."""
    wanted = module.params["namespace"]
    namespaces = [one for one in rsconfig.run(["-q"])["namespaces"] if wanted in (None, one["name"])]
    if len(namespaces) == 1:
        return namespaces[0]
    names = ", ".join(one["name"] for one in namespaces) or "none"
    return module.fail_json(msg="The client belongs to one namespace, and there are: %s. Give namespace" % names)


def section_of(module, rsconfig):
    """Returns the part of a file of rsio-namespace(5) that says what the task says."""
    params = module.params
    namespace = namespace_of(module, rsconfig)
    entries = []
    if params["state"] == "absent":
        entries.append(("state", "absent"))
    else:
        key_file = params["key_file"]
        given = dict(params, **{"key-file": None if key_file is None else os.path.abspath(key_file)})
        entries += [(key, given[key]) for key in ("key", "key-file", "rights") + LIMITS if given[key] is not None]
    for key, value in [("name", params["name"])] + entries:
        if "\n" in value.strip() or "\r" in value.strip():
            module.fail_json(msg="Wrong %s: give it in one line" % key)
    lines = ["[namespace %s]" % namespace["name"], "namespaceid = %d" % namespace["namespaceid"], "[client %s]" % params["name"].strip()]
    return "\n".join(lines + ["%s = %s" % (key, value.strip()) for key, value in entries]) + "\n"


def main():
    module = AnsibleModule(
        argument_spec=dict(
            name=dict(type="str", required=True),
            state=dict(type="str", choices=["present", "absent"], default="present"),
            key=dict(type="str", no_log=True),
            key_file=dict(type="path", no_log=False),
            rights=dict(type="str"),
            iops=dict(type="str"),
            bandwidth=dict(type="str"),
            burst=dict(type="str"),
            plain=dict(type="bool", default=False),
            **COMMON
        ),
        mutually_exclusive=[("key", "key_file")],
        supports_check_mode=True,
    )
    rsconfig = Rsconfig(module)
    rsconfig.check_name()
    changes = rsconfig.spread(section_of(module, rsconfig), ["--part"])
    module.exit_json(changed=bool(changes), changes=changes, diff=dict(prepared="".join(one + "\n" for one in changes)))


if __name__ == "__main__":
    main()
