// Implements `explore`: finds servers on all interfaces of this machine and at the given addresses. The command prints one line for each
// server interface, followed by the findings with their remedies. The command needs neither a configuration file nor a running rsiod.
// Invariants: the exit code is 1 if no server answered; no control character from a peer reaches the terminal; an unknown link speed is
// printed as `-`. HEARD ON and ROUND TRIP are `-` for a server interface that did not itself answer.

import { PORT_DEFAULT } from '@rsio/common/config/schema/limits';
import type { Exploration, FoundServer, Heard } from '@rsio/protocol/explorer/exploration';
import { DISCOVERY_WAIT_MS } from '@rsio/protocol/explorer/limits';
import { printJson } from '@rsio/common/cli/command';
import { type CommandContext, defineCommand } from '../cli/context.ts';
import { exploringLocals, INTERFACE_OPTION, namedInterfaces, parsePort, resolveHost, shownLocals } from '../cli/hosts.ts';
import { EXPLORATION_SHAPE } from '../cli/json-shapes.ts';
import { givenKey, keyFileOption } from '../cli/key-input.ts';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { findingLine, roundTrip } from '../output/format.ts';

export const EXPLORE = defineCommand({
  call: { by: 'words', words: 'explore' },
  synopsis: 'explore [HOST[:PORT]...] [--port P] [--interface ADDRESS...]\n[--namespacekey-file F]',
  summary: 'finds servers and their interfaces',
  details: `Broadcasts a request on every interface of this machine that is up, and sends it
to the address of each HOST. A HOST can be behind a router. Shows the interfaces
of each server, the local interfaces that received its answer, and the reason
for each rejected answer. A server with explore = no in its rssrvcfg does not
answer.`,
  options: {
    port: { kind: 'text', value: 'P', help: `port of the servers; default: ${PORT_DEFAULT}` },
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
  /** Addresses of the interfaces from which the command explores; an empty list means all interfaces. */
  readonly addresses: readonly string[];
  readonly namespacekey: string | null;
  readonly json: boolean;
}

/** Returns the exit code. */
async function exploreHere(context: CommandContext, { hosts, port, addresses, namespacekey, json }: ExploreHereOptions): Promise<number> {
  // Only this command, join and doctor load the explorer and the protocol modules that it imports.
  const [{ explore }, { thisMachine }] = await Promise.all([import('@rsio/protocol/explorer/explorer'), import('../cli/this-machine.ts')]);
  const { clock, sockets, random, interfaces: all } = thisMachine(context.clock);
  const interfaces = namedInterfaces(all, addresses);
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

// Example of the output:
//   NAMESPACE   ID  SERVER  ID  INTERFACE  ADDRESS        PORT   LINK  HEARD ON  ROUND TRIP
//   osl        200  big-9    1  if1        192.168.45.10  5000  1000M  eth0        0.212 ms
//   osl        200  big-9    1  if2        192.168.46.10  5000  1000M  -                  -
//   Server big-8 at 192.168.45.11 signs its answers with another namespacekey: make namespacekey the same on both sides

const HEADINGS = ['NAMESPACE', '>ID', 'SERVER', '>ID', 'INTERFACE', 'ADDRESS', '>PORT', '>LINK', 'HEARD ON', '>ROUND TRIP'];

export function formatExploration({ servers, findings }: Exploration): string {
  const rows = servers.flatMap(serverRows);
  return toText([...(rows.length === 0 ? [] : alignColumns(HEADINGS, rows)), ...findings.map(findingLine)]);
}

function serverRows({ namespace, namespaceid, server, serverid, interfaces, heard }: FoundServer): string[][] {
  return interfaces.map(({ name, address, port, linkMbps }) => {
    const ways = heard.filter(({ from }) => from === address).toSorted(byRoundTrip);
    return [
      namespace,
      String(namespaceid),
      server,
      String(serverid),
      name,
      address,
      String(port),
      linkMbps === null ? '-' : `${linkMbps}M`,
      ways.length === 0 ? '-' : [...new Set(ways.map(({ local }) => local))].join(','),
      roundTrip(ways[0]?.roundTripMs ?? null),
    ];
  });
}

function byRoundTrip(one: Heard, other: Heard): number {
  return one.roundTripMs - other.roundTripMs;
}
