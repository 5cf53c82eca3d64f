// The machines of npm run drill -- vm-lun, their links and addresses, and the commands that make the farm. The array and the client are the same
// machine, but each server has one link to the array and one to the client, so that it can lose one of these links. drills.ts has the
// drills.

import { Machine } from '../machine.ts';
import { type Cable, macOf } from '../play.ts';
import type { Report } from '../report.ts';
import { until } from '../scene.ts';

export interface LunScene {
  /** The machine that is both the array and the client, big-2. */
  readonly array: Machine;
  readonly servers: readonly Machine[];
  readonly report: Report;
}

/** `net`: the first three bytes of the addresses. The last byte is 10 at the server, and 20 at the client and array. */
export interface Link extends Cable {
  readonly net: string;
}

export const LINKS: readonly Link[] = [
  { number: 0, ends: ['big-9', 'big-2'], net: '192.168.45.' },
  { number: 1, ends: ['big-8', 'big-2'], net: '192.168.46.' },
  { number: 2, ends: ['big-9', 'big-2'], net: '10.0.9.' },
  { number: 3, ends: ['big-8', 'big-2'], net: '10.0.8.' },
];
/** Cards of a server: the first leads to the clients, and the second to the storage. */
export const STORAGE_CARD = 1;
const HOSTS = [10, 20];
const SERVED_MS = 600_000;
const IQN = 'iqn.2026-01.net.example';
/** An emulated machine may be slow for seconds, and its session must outlast this. */
const SLOW = [
  ['noop_out_interval', 30],
  ['noop_out_timeout', 60],
] as const;
/** Messages of emulated servers arrive late. */
const TAKE_OVER_AFTER = Machine.accelerator() === 'kvm' ? '10s' : '60s';

async function addresses(machine: Machine): Promise<void> {
  for (const { number, ends, net } of LINKS) {
    const end = ends.indexOf(machine.name);
    if (end < 0) continue;
    const text = `[Match]\\nMACAddress=${macOf(number, end)}\\n[Network]\\nAddress=${net}${HOSTS[end]}/24\\n`;
    await machine.run(`printf '${text}' > /etc/systemd/network/10-if${number}.network`);
  }
  const own = LINKS.filter(({ ends }) => ends.includes(machine.name)).map(({ ends, net }) => `${net}${HOSTS[ends.indexOf(machine.name)]}`);
  const there = own.map((address) => `grep -q ${address} /proc/net/fib_trie`).join(' && ');
  await machine.run(`hostnamectl hostname ${machine.name}; networkctl reload; ${until(there)}`);
}

function netOf(machine: Machine, isStorage: boolean): string {
  return LINKS.filter(({ ends }) => ends[0] === machine.name)[isStorage ? STORAGE_CARD : 0]?.net ?? '';
}

/** Makes the server an initiator. It logs in by itself after a boot. */
async function loggedIn(server: Machine): Promise<string> {
  const [portal, target] = [`${netOf(server, true)}20:3260`, `${IQN}:lun`];
  await server.run(`echo InitiatorName=${IQN}:${server.name} > /etc/iscsi/initiatorname.iscsi; systemctl enable iscsid open-iscsi`);
  await server.run('systemctl restart iscsid');
  await server.run(`iscsiadm -m node -T ${target} -p ${portal} -o new`);
  await server.run(`iscsiadm -m node -T ${target} -p ${portal} -o update -n node.startup -v automatic`);
  for (const [what, value] of SLOW)
    await server.run(`iscsiadm -m node -T ${target} -p ${portal} -o update -n node.conn[0].timeo.${what} -v ${value}`);
  await server.run(`iscsiadm -m node -T ${target} -p ${portal} --login`);
  return await server.run(`${until('ls /dev/disk/by-id/wwn-* 2>/dev/null', 60)} | tail -1`);
}

export async function installed({ array, servers, report }: LunScene): Promise<void> {
  const all = [array, ...servers];
  await Promise.all(all.map(addresses));
  const install = (machine: Machine, names: string): Promise<string> => machine.run(`apt-get install --yes ${names}`);
  await Promise.all([
    install(array, '/share/packages/rsio-common_*.deb /share/packages/rsio-client_*.deb'),
    ...servers.map((server) => install(server, '/share/packages/rsio-common_*.deb /share/packages/rsio-server_*.deb')),
  ]);
  await array.run(`bash /share/target.sh ${servers.map((server) => `${netOf(server, true)}20`).join(' ')}`);
  const disks = await Promise.all(servers.map(loggedIn));
  report.check('both servers reach the LUN under the same name', new Set(disks).size === 1, disks[0]);
  const [disk = ''] = disks;
  const owners = servers.map(({ name }) => name).join();
  for (const [index, server] of servers.entries()) {
    const id = `--serverid ${index + 1} --namespace osl --address ${netOf(server, false)}10`;
    await server.run(`rsadm init --name ${server.name} ${id}`);
    await server.run('install -D -m 644 /usr/share/rsio/rssrv-farm.conf /etc/systemd/system/rssrv.service.d/farm.conf');
    // On an emulated processor, the start may take longer than systemd waits for it.
    await server.run(`printf '[Service]\\nTimeoutStartSec=900\\n' > /etc/systemd/system/rssrv.service.d/slow.conf`);
    await server.run('systemctl daemon-reload && systemctl enable rssrv && systemctl restart rssrv');
    const made = await server.run(
      `rsadm pool add fast /storage/fast --disk ${disk} --fence reservation --owners ${owners} --take-over-after ${TAKE_OVER_AFTER}`,
    );
    report.check(`rsadm pool add on ${server.name}`, true, made);
  }
  const key = await servers[0]!.run('rsadm client add big-2 --rights manage 2>/dev/null');
  await servers[1]!.run(`(umask 077; echo ${key} > big-2.key); rsadm client add big-2 --key-file big-2.key --rights manage`);
  await array.run(`(umask 077; echo ${key} > big-2.key)`);
  for (const server of servers) await array.run(until(`rsconfig join ${netOf(server, false)}10 --name big-2 --key-file big-2.key`, 10));
  const owner = await served({ servers });
  await array.run(until('rsconfig volume create db --size 64m --attach', 20));
  report.check('a volume of the pool is attached', true, await owner.run('rsadm farm; sg_persist -k /dev/disk/by-id/wwn-*'));
}

/**
 * Resolves with the server that serves the pool. Throws if none does for SERVED_MS. Each question is short: a machine runs one command
 * after another, and during a long wait for the pool it could run no other command.
 */
export async function served({ servers }: Pick<LunScene, 'servers'>): Promise<Machine> {
  const endMs = performance.now() + SERVED_MS;
  while (performance.now() < endMs)
    for (const server of servers)
      if ((await server.try(`rsadm farm --json 2>/dev/null | tr -d ' \\n' | grep -q '"isHere":true'`)).code === 0) return server;
  throw new Error(`No server serves the pool for ${SERVED_MS / 60_000} minutes`);
}
