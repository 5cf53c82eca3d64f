// rssrv of this checkout below its own root, with the data file as its volume and one node for each client of the load. For the sessions
// see load/open-rsio.ts.

import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rssrvPaths } from '@rsio/common/config/root-paths';
import { serverConfig } from '@rsio/test/support/hosts/configs';
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
    const volumes = { [VOLUME]: { path: file, size: String(FILE_BYTES) } };
    const clients = Object.fromEntries(NODES.map((node) => [node, nodekey]));
    mkdirSync(dirname(configFile), { recursive: true });
    writeFileSync(configFile, serverConfig({ port, serverAddresses: [HOST] }, { volumes, clients }), { mode: 0o600 });
    const child = await startListening('rssrv', core, [process.execPath, RSSRV, '--root', root, '--foreground'], HOST, port);
    const volume = { kind: 'rsio', namespaceid: NAMESPACEID, nodes: NODES, nodekey, volumes: [VOLUME] } as const;
    return runningServer('rssrv', 'rssrv', child, { host: HOST, port, volume });
  },
};
