// The expected output of commands for a site whose servers are all reachable and whose paths are all up. This file shares no code with the
// programs whose output it describes. Only times, instances and path numbers are masked, because the test cannot choose these. `-m status` lists the
// sections of the file. Further interfaces that servers announced follow, sorted by namespace and serverid.

import { sameSubnet } from './data-centre.ts';
import type { SiteClient, SiteLogin, SiteServer, SiteVolume } from './site.ts';

const UNITS: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };
const INTERFACE_PORT = 5000;

/** Masks the parts of an output that the test cannot choose. */
export function masked(text: string): string {
  return (
    text
      .replace(/\d{4}_\d\d_\d\d-\d\d:\d\d:\d\d \(GMT\)/g, 'TIME')
      .replace(/instance: [0-9a-f]{32}$/gm, 'instance: INSTANCE')
      .replace(/path: \d+ /g, 'path: N ')
      // A path that has just come up has no round trip yet.
      .replace(/round trip: (?:[\d.]+ ms|-)/g, 'round trip: RTT')
  );
}

export function sizeBytes(text: string): number {
  return Number.parseInt(text, 10) * (UNITS[text.slice(-1)] ?? 1);
}

/** Expected output of `-q` (verbosity 0) and `-qv` (verbosity 1). */
export function expectedQuery({ logins }: SiteClient, verbosity: 0 | 1): string {
  return logins
    .map((login, position) => {
      const servers = serversOf(login).map((server, order) => expectedServer(login, server, order, verbosity));
      return `${three(position)} ${login.namespace.name}\n  clt: ${login.node}\n${servers.join('')}`;
    })
    .join('');
}

/** The servers of the sections, each once, in the order in which they first appear. */
export function serversOf({ sections }: SiteLogin): SiteServer[] {
  return [...new Set(sections.map(({ server }) => server))];
}

export function volumesFor({ volumes }: SiteServer, node: string): SiteVolume[] {
  return volumes.filter(({ keys }) => keys['clients'] === undefined || keys['clients'].split(/\s+/).includes(node));
}

export function volumeLine({ name, keys }: SiteVolume): string {
  const blockBytes = Number(keys['blocksize'] ?? 512);
  const count = sizeBytes(keys['size'] ?? '') / blockBytes;
  const padded = name.length >= 17 ? `${name} ` : name.padEnd(17);
  return `      ${keys['universe'] ?? 0}  ${padded}disk${String(count).padStart(13)} blocks of ${String(blockBytes).padStart(4)} bytes\n`;
}

export function expectedStatus({ interfaces, logins }: SiteClient): string {
  const ends = remoteEnds(logins);
  return interfaces
    .map((near, position) => {
      const reps = ends.filter(({ address }) => sameSubnet(near.address, address));
      const lines = reps.map((rep) => `    rep: ${three(rep.position)} IP(TCP) ${rep.address}/${rep.port} connected tx: ok rx: ok\n`);
      return `${position} ${near.name} IP(TCP) ${near.address}/${INTERFACE_PORT}\n${lines.join('')}`;
    })
    .join('');
}

interface RemoteEnd {
  readonly position: number;
  readonly address: string;
  readonly port: number;
}

/**
 * The remote interfaces in the order of the output: for each namespace its sections, and then the further interfaces that its servers
 * announced.
 */
function remoteEnds(logins: readonly SiteLogin[]): RemoteEnd[] {
  let learnedPosition = logins.flatMap(({ sections }) => sections).length;
  let sectionPosition = 0;
  return logins.flatMap((login) => {
    const { port } = login.namespace;
    const positions = new Map(login.sections.map((section) => [section, sectionPosition++]));
    // Leaves out each section whose server no longer has the interface of the section.
    const named = login.sections
      .filter(({ server, address }) => server.interfaces.some((one) => one.address === address))
      .map((section) => ({ position: positions.get(section) ?? -1, address: section.address, port }));
    const learned = serversOf(login)
      .toSorted((left, right) => left.serverid - right.serverid)
      .flatMap((server) => server.interfaces)
      .filter(({ address }) => !login.sections.some((section) => section.address === address))
      .map(({ address }) => ({ position: learnedPosition++, address, port }));
    return [...named, ...learned];
  });
}

function expectedServer(login: SiteLogin, server: SiteServer, position: number, verbosity: 0 | 1): string {
  const volumes = volumesFor(server, login.node).map(volumeLine).join('');
  const head = `  srv: ${three(position)} ${server.name}\n`;
  if (verbosity === 0) return head + volumes;
  const { port } = server.namespace;
  const named = login.sections.filter((section) => section.server === server);
  const learned = server.interfaces.filter(({ address }) => !named.some((section) => section.address === address));
  const addresses = [
    ...named.map(({ name, address }) => `      addr: ${address}/${port} ${name}\n`),
    ...learned.map(({ name, address }) => `      addr: ${address}/${port} ${server.name}-${name}\n`),
  ];
  return `${head}      state: connected\n${addresses.join('')}${volumes}`;
}

function three(position: number): string {
  return String(position).padStart(3, '0');
}
