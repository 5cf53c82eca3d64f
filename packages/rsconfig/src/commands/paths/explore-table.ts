// What `explore` prints: a line for each interface of each server, then what else was noticed, with its remedy. Pure.
// Invariant: no control character of a peer's text reaches the terminal; a link speed that is not known, and an interface that was not
// heard itself, print as `-`.

//   NAMESPACE   ID  SERVER  ID  INTERFACE  ADDRESS        PORT   LINK  HEARD ON  ROUND TRIP
//   osl        200  big-9    1  if1        192.168.45.10  5000  1000M  eth0        0.212 ms
//   osl        200  big-9    1  if2        192.168.46.10  5000  1000M  -                  -
//   Server big-8 at 192.168.45.11 signs its answers with another namespacekey: make namespacekey the same on both sides

import type { Exploration, FoundServer, Heard } from '@rsio/protocol/explorer/discovery/exploration';
import type { Finding } from '@rsio/protocol/explorer/discovery/finding';
import { roundTrip, toText } from '../../output/format.ts';
import { alignColumns } from '../../output/columns.ts';

const HEADINGS = ['NAMESPACE', '>ID', 'SERVER', '>ID', 'INTERFACE', 'ADDRESS', '>PORT', '>LINK', 'HEARD ON', '>ROUND TRIP'];

export function formatExploration({ servers, findings }: Exploration): string {
  const rows = servers.flatMap(serverRows);
  return toText([...(rows.length === 0 ? [] : alignColumns(HEADINGS, rows)), ...findings.map(findingLine)]);
}

export function findingLine({ sentence, remedy, count }: Finding): string {
  return `${sentence}${count > 1 ? ` (${count} times)` : ''}: ${remedy}`;
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
