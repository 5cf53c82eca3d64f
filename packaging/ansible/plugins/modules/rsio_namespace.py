#!/usr/bin/python
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: rsio_namespace
short_description: Make all servers of an RSIO namespace say what one file says
description:
  - Applies a file of rsio-namespace(5) to all servers of its namespace, as C(rsconfig apply) does. A second run changes nothing.
  - If a client has another key at a server than in the file, the server accepts both. A later run ends the other key when the client uses that of the file.
  - The task fails if a server is away or refuses the file. What one server refuses is done at none.
  - The client of the managed host needs the right C(admin). Run the module on one host.
author: OSL (@osl)
options:
  src:
    description: The file, on the managed host. Names of key files in it are relative to its folder.
    type: path
  content:
    description: The text of the file, instead of O(src). Names of key files in it are absolute.
    type: str
  prune:
    description: Also remove clients and peers that the file does not name.
    type: bool
    default: false
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
- name: All servers have the clients of the repository
  osl.rsio.rsio_namespace:
    src: /etc/dvsc/namespace.conf
  run_once: true
"""

RETURN = r"""
changes:
  description: One sentence for each change at a server.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.osl.rsio.plugins.module_utils.rsconfig import COMMON, Rsconfig


def main():
    module = AnsibleModule(
        argument_spec=dict(
            src=dict(type="path"),
            content=dict(type="str", no_log=True),
            prune=dict(type="bool", default=False),
            plain=dict(type="bool", default=False),
            wait=COMMON["wait"],
            rsconfig=COMMON["rsconfig"],
        ),
        mutually_exclusive=[("src", "content")],
        required_one_of=[("src", "content")],
        supports_check_mode=True,
    )
    rsconfig = Rsconfig(module)
    options = ["--prune"] if module.params["prune"] else []
    if module.params["src"] is not None:
        changes = rsconfig.spread_file(module.params["src"], options)
    else:
        changes = rsconfig.spread(module.params["content"], options)
    module.exit_json(changed=bool(changes), changes=changes, diff=dict(prepared="".join(one + "\n" for one in changes)))


if __name__ == "__main__":
    main()
