// Our server: rssrv of this checkout below a root of its own, with as many nodes as a load has clients.
// Leaves its sessions to load/open-rsio.ts.

import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rssrvPaths } from '@rsio/protocol/config/root-paths';
import { freePort } from '../child.ts';
import { FILE_BYTES } from '../workload.ts';
import { type Maker, runningServer, startListening } from './server.ts';

const RSSRV = fileURLToPath(new URL('../../../bin/rssrv', import.meta.url));
const HOST = '127.45.0.1';
const NAMESPACEID = 200;
const NODES = ['bench0', 'bench1', 'bench2', 'bench3'];
const VOLUME = 'data';

export const RSSRV_MAKER: Maker = {
  id: 'rssrv',
  needs: null,
  async start({ directory, file, core }) {
    const root = join(directory, 'root');
    const port = await freePort(HOST);
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
      `address = ${HOST}`,
      `[volume ${VOLUME}]`,
      `path = ${file}`,
      `size = ${FILE_BYTES}`,
      '[clients]',
      ...NODES.map((node) => `${node} ${nodekey}`),
      '',
    ];
    writeFileSync(configFile, lines.join('\n'), { mode: 0o600 });
    const child = await startListening('rssrv', core, [process.execPath, RSSRV, '--root', root, '--foreground'], HOST, port);
    const volume = { kind: 'rsio', namespaceid: NAMESPACEID, nodes: NODES, nodekey, volumes: [VOLUME] } as const;
    return runningServer('rssrv', 'rssrv', child, { host: HOST, port, volume });
  },
};
