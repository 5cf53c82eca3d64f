// The two servers that are compared: rssrv of this checkout below a root of its own, and nbdkit with its file plugin, both over TCP on
// loopback, both on the same file and the same core.

import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rssrvPaths } from '@rsio/protocol/config/root-paths';
import { Child, freePort } from './child.ts';
import type { Target } from './load/orders.ts';
import { processTree } from './proc.ts';
import { FILE_BYTES } from './workload.ts';

export interface Contender {
  readonly name: string;
  readonly pid: number;
  readonly target: Target;
  /** The processes that serve: all of the server. */
  processes(): number[];
  stop(): Promise<void>;
}

const RSSRV = fileURLToPath(new URL('../../bin/rssrv', import.meta.url));
const RSIO_HOST = '127.45.0.1';
const NBD_HOST = '127.0.0.1';
const NAMESPACEID = 200;
const NODE = 'bench';
const VOLUME = 'data';

function contender(name: string, child: Child, target: Target): Contender {
  return { name, pid: child.pid, target, processes: () => processTree(child.pid), stop: () => child.stop() };
}

export async function startRssrv(root: string, file: string, core: number): Promise<Contender> {
  const port = await freePort(RSIO_HOST);
  const nodekey = randomBytes(16).toString('hex');
  const { configFile } = rssrvPaths(root);
  mkdirSync(dirname(configFile), { recursive: true });
  const lines = [
    '[namespace bench]',
    `namespaceid = ${NAMESPACEID}`,
    `port = ${port}`,
    '[server bench]',
    'serverid = 1',
    '[interface if0]',
    `address = ${RSIO_HOST}`,
    `[volume ${VOLUME}]`,
    `path = ${file}`,
    `size = ${FILE_BYTES}`,
    '[clients]',
    `${NODE} ${nodekey}`,
    '',
  ];
  writeFileSync(configFile, lines.join('\n'), { mode: 0o600 });
  const child = new Child('rssrv', core, process.execPath, [RSSRV, '--root', root, '--foreground']);
  await listeningOrStopped(child, RSIO_HOST, port);
  const volume = { kind: 'rsio', namespaceid: NAMESPACEID, node: NODE, nodekey, volume: VOLUME } as const;
  return contender('rssrv', child, { host: RSIO_HOST, port, volume });
}

export async function startNbdkit(file: string, core: number): Promise<Contender> {
  const port = await freePort(NBD_HOST);
  const child = new Child('nbdkit', core, 'nbdkit', ['--exit-with-parent', '-f', '-i', NBD_HOST, '-p', String(port), 'file', file]);
  await listeningOrStopped(child, NBD_HOST, port);
  return contender('nbdkit file', child, { host: NBD_HOST, port, volume: { kind: 'nbd', export: '' } });
}

async function listeningOrStopped(child: Child, host: string, port: number): Promise<void> {
  try {
    await child.listening(host, port);
  } catch (error) {
    await child.stop();
    throw error;
  }
}
