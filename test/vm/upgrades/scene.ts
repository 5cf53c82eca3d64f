// The machines of npm run drill -- upgrades, and the first hour on each: the packages of the last release, configured by command, with a file system
// on a volume. drills.ts has the upgrades.

import type { Guest } from '../machine.ts';
import type { Cable } from '../play.ts';
import type { Report } from '../report.ts';
import { until } from '../scene.ts';

/** `server` serves `client` and `refused`; the keeper of `refused` gets no devices; `both` is server and client. */
export const NAMES = { server: 'big-9', client: 'big-2', refused: 'big-6', both: 'big-5' } as const;
export const CABLES: readonly Cable[] = [NAMES.client, NAMES.refused, NAMES.both].map((name, number) => ({
  number,
  ends: [NAMES.server, name],
}));
const SIZE = '96m';

export interface UpgradeScene {
  readonly server: Guest;
  readonly client: Guest;
  readonly refused: Guest;
  readonly both: Guest;
  readonly report: Report;
  /** Folders below /share with packages: those of the last release, of this checkout, and of this checkout under a later version. */
  readonly before: string;
  readonly after: string;
  readonly later: string;
}

const address = (number: number, end: number): string => `192.168.${50 + number}.${end + 1}`;

async function networked(machine: Guest): Promise<void> {
  const own = CABLES.filter(({ ends }) => ends.includes(machine.name));
  const lines = own.map(({ number, ends }) => `ip address add ${address(number, ends.indexOf(machine.name))}/24 dev card${number}`);
  // systemd-networkd manages no card here, and would delay the first start of each daemon by two minutes.
  const named = `hostname ${machine.name}; echo ${machine.name} > /etc/hostname; systemctl --quiet mask systemd-networkd-wait-online`;
  await machine.run([named, 'ip link set lo up', ...lines].join('\n'));
}

/** Installs packages of a folder, in this order, and returns what apt says. */
export async function install(machine: Guest, folder: string, ...names: readonly string[]): Promise<string> {
  return await machine.run(`apt-get install --yes ${names.map((name) => `${folder}/rsio-${name}_*.deb`).join(' ')}`);
}

async function served(machine: Guest, addresses: readonly string[]): Promise<void> {
  await machine.run(`rsadm init --namespace osl --address ${addresses.join()}`);
  await machine.run('systemctl enable rssrv; systemctl restart rssrv; mkdir -p /storage/fast && rsadm pool add fast /storage/fast');
}

async function attached(machine: Guest, server: Guest, at: string): Promise<void> {
  const key = await server.run(`rsadm client add ${machine.name} --rights manage 2>/dev/null`);
  const join = `rsconfig join ${at} --name ${machine.name} --key-file node.key --no-start`;
  await machine.run(`(umask 077; echo ${key} > node.key); ${until(join, 10)}; systemctl enable rsiod; systemctl start rsiod`);
  const volume = `v-${machine.name}`;
  await machine.run(
    `${until('rsconfig -m status | grep -q "connected tx: ok"', 60)}; rsconfig volume create ${volume} --size ${SIZE} --attach`,
  );
  await machine.run(`mkfs.ext4 -q /dev/av0/${volume} && mkdir -p /data && mount /dev/av0/${volume} /data`);
}

export async function prepared(scene: UpgradeScene): Promise<void> {
  const { server, client, refused, both, before, report } = scene;
  await Promise.all([server, client, refused, both].map((machine) => networked(machine)));
  // The first packages of 0.2.0 had no rsio-common, and the later ones need theirs.
  const common = (await server.try(`ls ${before}/rsio-common_*.deb`)).code === 0 ? ['common'] : [];
  await Promise.all([
    install(server, before, ...common, 'server'),
    install(client, before, ...common, 'client'),
    install(refused, before, ...common, 'client'),
    install(both, before, ...common, 'server', 'client'),
  ]);
  await served(server, [address(0, 0), address(1, 0)]);
  await served(both, [address(2, 1)]);
  await attached(client, server, address(0, 0));
  await attached(refused, server, address(1, 0));
  await attached(both, both, address(2, 1));
  report.check(
    'the last release serves three file systems',
    true,
    await both.run('rssrv --version; rsiod --version; df -h /data | tail -1'),
  );
}

/** Pid of the working process of rsiod. */
export async function worker(machine: Guest): Promise<string> {
  return await machine.run('pgrep -P "$(head -n 1 /run/rsio/rsiod/pid)" | sort -n | tail -1');
}

export async function versionOf(machine: Guest, name: string): Promise<string> {
  return await machine.run(`dpkg-query -W -f '\${Status} \${Version}' rsio-${name}`);
}
