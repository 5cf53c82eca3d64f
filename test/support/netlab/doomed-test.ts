// A test process that netlab.test.ts kills while it runs. It makes two machines, runs a daemon on one machine, reports this, and runs until
// it is killed.

import { startServer } from '../hosts/configs.ts';
import { Netlab } from './netlab.ts';
import { twoMachines } from './two-machines.ts';

const netlab = new Netlab();
const { server, network } = await twoMachines(netlab, 1);
await startServer(server.host, network, { volumes: { oracle: { type: 'memory', size: '1m' } } });
console.log(JSON.stringify({ root: server.host.root, pid: server.host.pid('rssrv') }));
setInterval(() => undefined, 1_000);
