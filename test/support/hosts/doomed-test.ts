// A test process that hosts.test.ts kills while it runs. The process starts a server with a memory volume, prints the root and the pids,
// and runs until it is killed.

import { startServer } from './configs.ts';
import { Hosts } from './hosts.ts';

const hosts = new Hosts();
const host = hosts.host();
const network = await hosts.network(1);
const [, , id = ''] = process.argv;
await startServer(host, network, { volumes: { oracle: { type: 'memory', size: '1m', id } } });
console.log(JSON.stringify({ root: host.root, pid: host.pid('rssrv') }));
setInterval(() => undefined, 1_000);
