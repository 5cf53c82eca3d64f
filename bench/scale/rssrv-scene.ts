// A server for many clients: rssrv with a node for each client, and the data file, whole or cut into several files. Callers open the
// sessions. Listener, server processes and load share the machine's cores.

import { closeSync, openSync, readSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { startServer } from '@rsio/test/support/hosts/configs';
import type { Host } from '@rsio/test/support/hosts/host';
import type { Hosts, TestNetwork } from '@rsio/test/support/hosts/hosts';
import type { Place, RsioVolume } from '../load/orders.ts';
import { processTree } from '../proc.ts';
import { dataFile } from '../scene.ts';
import { FILE_BYTES } from '../workload.ts';

export interface RssrvScene {
  readonly host: Host;
  readonly network: TestNetwork;
  readonly target: Place & { readonly volume: RsioVolume };
  /** The file that the clients open first. */
  readonly file: string;
  readonly processes: () => number[];
}

/** All nodes share one key, which does not change the cost of a login. */
const KEY = '0xsecret-of-many-clients';
const NAMESPACEID = 200;

/** Starts rssrv with nodes `node0`, `node1` and so on. */
export async function rssrvScene(hosts: Hosts, parent: string, clients: number, volumes = 1): Promise<RssrvScene> {
  const host = hosts.host();
  const network = await hosts.network(1);
  const whole = dataFile(hosts, parent);
  const files = volumes === 1 ? [whole] : cut(whole, volumes);
  const nodes = Array.from({ length: clients }, (_unused, index) => `node${index}`);
  const names = files.map((_unused, index) => `data${index}`);
  await startServer(host, network, {
    volumes: Object.fromEntries(names.map((name, index) => [name, { path: files[index] ?? '' }])),
    clients: Object.fromEntries(nodes.map((node) => [node, KEY])),
  });
  const volume = { kind: 'rsio', namespaceid: NAMESPACEID, nodes, nodekey: KEY, volumes: names } as const;
  const target = { host: network.serverAddresses[0] ?? '', port: network.port, volume };
  return { host, network, target, file: files[0] ?? '', processes: () => processTree(host.pid('rssrv')) };
}

/** Cuts the file into pieces of the same size, in files beside it. */
function cut(whole: string, count: number): string[] {
  const piece = Buffer.alloc(FILE_BYTES / count);
  const from = openSync(whole, 'r');
  try {
    return Array.from({ length: count }, (_unused, index) => {
      const file = join(dirname(whole), `piece${index}.img`);
      readSync(from, piece, 0, piece.length, index * piece.length);
      writeFileSync(file, piece);
      return file;
    });
  } finally {
    closeSync(from);
  }
}
