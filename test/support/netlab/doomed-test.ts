// A test process that dies in the middle, for net-lab.test.ts: it makes two machines and runs a daemon on one, says so, and is killed.
// It never ends by itself.

import { startServer } from '../configs.ts';
import { NetLab } from './net-lab.ts';
import { twoMachines } from './two-machines.ts';

const lab = new NetLab();
const { server, network } = await twoMachines(lab, 1);
await startServer(server.host, network, { volumes: { oracle: { type: 'memory', size: '1m' } } });
console.log(JSON.stringify({ root: server.host.root, pid: server.host.pid('rssrv') }));
setInterval(() => undefined, 1_000);
