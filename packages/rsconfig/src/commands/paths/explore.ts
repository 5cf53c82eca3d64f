// `explore`: asks on every interface of this machine, and at the addresses that were given, which servers are there. Needs no file and
// no rsiod. The text is explore-table.ts. Invariant: exit code 1 when nobody was found, naming where was asked.

import { explore } from '@rsio/protocol/explorer/discovery/explorer';
import { PORT_DEFAULT } from '@rsio/common/config/schema/limits';
import { DISCOVERY_WAIT_MS } from '@rsio/protocol/explorer/discovery/limits';
import { defineCommand } from '../../cli/command.ts';
import { parsePort, resolveHost } from '../../cli/hosts.ts';
import { EXPLORATION_SHAPE } from '../../cli/json-shapes.ts';
import { givenKey, keyFileOption } from '../../cli/key-input.ts';
import { type MachinePorts, machinePorts } from '../../cli/machine-ports.ts';
import { type CommandContext, printJson } from '../../cli/command-context.ts';
import { formatExploration } from './explore-table.ts';
import { exploringLocals, INTERFACE_OPTION, namedInterfaces, shownLocals } from './exploring-locals.ts';

export const EXPLORE = defineCommand({
  call: { by: 'words', words: 'explore' },
  synopsis: 'explore [HOST[:PORT]...] [--port P] [--interface ADDRESS...]\n[--namespacekey-file F]',
  summary: 'finds servers and their interfaces',
  details: `Explores by broadcast on every interface of this machine that is up, and at the
address of each HOST, which also finds servers behind a router. Shows the
interfaces of each server, the local interfaces that received its answer, and
the faults of rejected answers. A server with explore = no in its rssrvcfg does
not answer.`,
  options: {
    port: { kind: 'text', value: 'P', help: `port to explore, instead of ${PORT_DEFAULT}` },
    interface: INTERFACE_OPTION,
    'namespacekey-file': keyFileOption('key that signs exploration'),
    json: { kind: 'flag', help: 'print the servers as JSON' },
  },
  json: EXPLORATION_SHAPE,
  operands: { min: 0, max: Number.POSITIVE_INFINITY },
  run: async (context, { port, interface: addresses, 'namespacekey-file': keyFile, json }, hosts) => {
    const namespacekey = await givenKey(context, 'namespacekey', null, keyFile);
    return exploreHere(context, { hosts, port: parsePort(port, PORT_DEFAULT), addresses, namespacekey, json });
  },
});

interface ExploreHereOptions {
  readonly hosts: readonly string[];
  readonly port: number;
  /** Of interfaces to ask from; none: all. */
  readonly addresses: readonly string[];
  readonly namespacekey: string | null;
  readonly json: boolean;
}

/** Returns the exit code. */
async function exploreHere(
  context: CommandContext,
  { hosts, port, addresses, namespacekey, json }: ExploreHereOptions,
  ports: MachinePorts = machinePorts(context.clock),
): Promise<number> {
  const { clock, sockets, random } = ports;
  const interfaces = namedInterfaces(ports.interfaces, addresses);
  const targets = await Promise.all(hosts.map((host) => resolveHost(host, port, clock)));
  const locals = exploringLocals(interfaces, targets);
  context.note(`Exploring on ${shownLocals(locals)}, port ${port}: listening for ${DISCOVERY_WAIT_MS} ms`);
  const found = await explore({ locals, port, targets, namespacekey, namespaceid: null, clock, sockets, random });
  if (json) printJson(context, { asked: locals, port, targets, ...found });
  else context.out(formatExploration(found));
  if (found.servers.length > 0) return 0;
  const remedy = `check cables and subnets, that rssrv runs with explore = yes and its port is ${port}, or give its address: rsconfig explore HOST`;
  context.report('E_UNREACHABLE', `No server answered on ${shownLocals(locals)}, port ${port}: ${remedy}`);
  return 1;
}
