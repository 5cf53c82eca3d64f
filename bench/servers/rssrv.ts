// rssrv of this checkout or of an older one, below a root of its own, with one node for each client of the load.
// For its sessions see load/open-rsio.ts.

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rssrvPaths } from '@rsio/common/config/root-paths';
import { serverConfig } from '@rsio/test/support/hosts/configs';
import { freePort } from '../child.ts';
import { makeDataFile } from '../native/compile.ts';
import { FILE_BYTES, type ServerId } from '../workload.ts';
import { type Maker, runningServer, type Server, type Setting, startListening } from './server.ts';

const THIS_CHECKOUT = fileURLToPath(new URL('../../..', import.meta.url));
const HOST = '127.45.0.1';
const NAMESPACEID = 200;
const NODES = ['bench0', 'bench1', 'bench2', 'bench3'];
const VOLUME = 'data';

/** `checkout`: folder of a checkout whose programs are built. */
function rssrvMaker(id: ServerId, checkout: string): Maker {
  return {
    id,
    needs: null,
    start: (place) => startRssrv(id, checkout, place),
  };
}

export const RSSRV_MAKER: Maker = rssrvMaker('rssrv', THIS_CHECKOUT);

/** The older server gets a file of its own with the same content, because rssrv locks the files that it serves. */
export function olderRssrvMaker(checkout: string): Maker {
  const older = rssrvMaker('rssrv-older', resolve(checkout));
  return {
    ...older,
    start: ({ directory, core }) => {
      const file = join(directory, 'older.img');
      makeDataFile(file);
      return older.start({ directory, file, core });
    },
  };
}

async function startRssrv(id: ServerId, checkout: string, { directory, file, core }: Setting): Promise<Server> {
  const root = join(directory, `root-${id}`);
  const port = await freePort(HOST);
  const nodekey = randomBytes(16).toString('hex');
  const { configFile } = rssrvPaths(root);
  const volumes = { [VOLUME]: { path: file, size: String(FILE_BYTES) } };
  const clients = Object.fromEntries(NODES.map((node) => [node, nodekey]));
  mkdirSync(dirname(configFile), { recursive: true });
  writeFileSync(configFile, serverConfig({ port, serverAddresses: [HOST] }, { volumes, clients }), { mode: 0o600 });
  const child = await startListening(id, core, [process.execPath, join(checkout, 'bin/rssrv'), '--root', root, '--foreground'], HOST, port);
  const volume = { kind: 'rsio', namespaceid: NAMESPACEID, nodes: NODES, nodekey, volumes: [VOLUME] } as const;
  return runningServer(id, titleOf(checkout), child, { host: HOST, port, volume });
}

/** The title names the commit of an older checkout, because the figures are worth nothing without it. */
function titleOf(checkout: string): string {
  if (checkout === THIS_CHECKOUT) return 'rssrv';
  const { status, stdout } = spawnSync('git', ['-C', checkout, 'rev-parse', '--short', 'HEAD'], { encoding: 'utf8' });
  return status === 0 ? `rssrv of ${stdout.trim()}` : `rssrv in ${checkout}`;
}
