// The machines of npm run drill -- vm-applications, and the commands with which an administrator makes an application that moves between two nodes: a
// volume of a pool with a file system, a unit of systemd, and an address. The server is the switch between the nodes, and connects to the
// moving address. drills.ts has the drills.

import type { Guest } from '../machine.ts';
import { type Cable, macOf } from '../play.ts';
import { seconds } from '../../support/drills/table.ts';
import type { Report } from '../report.ts';
import { until } from '../scene.ts';

export interface AppScene {
  readonly server: Guest;
  /** In the order of the key `nodes`. */
  readonly nodes: readonly [Guest, Guest];
  readonly report: Report;
  /** Further keys of the application. */
  readonly times: readonly string[];
}

export const NAMES = { server: 'big-9', nodes: ['big-2', 'big-6'] } as const;
export const CABLES: readonly Cable[] = NAMES.nodes.map((node, number) => ({ number, ends: [NAMES.server, node] }));
export const APP = 'ledger';
export const MOUNT = '/srv/ledger';
export const ADDRESS = '192.168.45.5';
/** The file of the service, which grows on the volume. */
export const LINES = `${MOUNT}/lines`;
export const ACKS = '/root/acks';
export const TRACES = '/root/traces';
const NET = '192.168.45.';
const HOSTS: Readonly<Record<string, number>> = { [NAMES.server]: 10, 'big-2': 20, 'big-6': 60 };
const PORT = 7000;
/** Messages reach emulated servers late, and emulated nodes take minutes to boot. */
export const TIMES = { quick: ['silent = 8s', 'start-delay = 20s'], emulated: ['silent = 40s', 'start-delay = 3m'] };
const SERVICE = `[Unit]
Description=Ledger
[Service]
ExecStart=/usr/local/sbin/ledger.pl ${LINES} ${PORT}
[Install]
WantedBy=multi-user.target
`;
const COLLECT = `[Service]
ExecStart=/usr/local/sbin/collect.pl ${ADDRESS} ${PORT} ${ACKS} ${TRACES}
[Install]
WantedBy=multi-user.target
`;
const WATCH = `[Unit]
DefaultDependencies=no
After=systemd-remount-fs.service
[Service]
ExecStart=/usr/local/sbin/watch.pl ${NET}${HOSTS[NAMES.server]} ${PORT + 1} ${MOUNT} ${ADDRESS} ${APP}.service
[Install]
WantedBy=sysinit.target
`;

/** Writes a file of a guest. */
async function put(machine: Guest, path: string, text: string): Promise<void> {
  await machine.run(`mkdir -p "$(dirname ${path})" && base64 -d <<< ${Buffer.from(text).toString('base64')} > ${path}`);
}

async function networked(machine: Guest): Promise<void> {
  const address = `[Network]\nAddress=${NET}${HOSTS[machine.name]}/24\n`;
  const folder = '/etc/systemd/network';
  for (const { number, ends } of CABLES.filter((cable) => cable.ends.includes(machine.name))) {
    const end = ends.indexOf(machine.name);
    const match = `[Match]\nMACAddress=${macOf(number, end)}\nType=ether\n`;
    await put(machine, `${folder}/10-if${number}.network`, `${match}${end === 0 ? '[Network]\nBridge=br0\n' : address}`);
  }
  if (machine.name === NAMES.server) {
    await put(machine, `${folder}/20-br0.netdev`, '[NetDev]\nName=br0\nKind=bridge\n');
    await put(machine, `${folder}/20-br0.network`, `[Match]\nName=br0\n${address}`);
  }
  const isThere = until(`grep -q ${NET}${HOSTS[machine.name]} /proc/net/fib_trie`);
  await machine.run(`hostnamectl hostname ${machine.name}; networkctl reload; ${isThere}`);
}

async function unit(machine: Guest, name: string, text: string, program: string): Promise<void> {
  await machine.run(`install -m 755 /share/${program} /usr/local/sbin/`);
  await put(machine, `/etc/systemd/system/${name}.service`, text);
}

export async function installed({ server, nodes, report }: AppScene): Promise<void> {
  const install = async (machine: Guest, product: string, daemons: readonly string[]): Promise<void> => {
    const startMs = performance.now();
    await networked(machine);
    await machine.run(`apt-get install --yes /share/packages/rsio-common_*.deb /share/packages/${product}_*.deb`);
    // On an emulated processor, the start may take longer than systemd waits for it.
    for (const daemon of daemons)
      await put(machine, `/etc/systemd/system/${daemon}.service.d/slow.conf`, '[Service]\nTimeoutStartSec=900\nTimeoutStopSec=900\n');
    await machine.run('systemctl daemon-reload');
    report.check(`${product} is installed on ${machine.name}`, true, seconds(performance.now() - startMs));
  };
  await Promise.all([install(server, 'rsio-server', ['rssrv']), ...nodes.map((node) => install(node, 'rsio-client', ['rsiod', 'rsapp']))]);
}

/** Installs the packages of this checkout over those of the same version, while the application runs. */
export async function upgraded({ server, nodes, report }: AppScene): Promise<void> {
  const install = async (machine: Guest, product: string): Promise<void> => {
    await machine.run(`apt-get install --reinstall --yes /share/packages/rsio-common_*.deb /share/packages/${product}_*.deb`);
    const failed = await machine.run('systemctl --failed --no-legend --plain');
    report.check(`${product} is installed again on ${machine.name}`, failed === '', failed);
  };
  await Promise.all([install(server, 'rsio-server'), ...nodes.map((node) => install(node, 'rsio-client'))]);
  await server.run(until(`[ $(($(date +%s) - $(stat -c %Y ${ACKS}))) -lt 10 ]`));
}

export async function configured({ server, nodes, report, times }: AppScene): Promise<void> {
  const serverAddress = `${NET}${HOSTS[server.name]}`;
  await server.run(`rsadm init --name ${server.name} --namespace osl --address ${serverAddress}`);
  await server.run('systemctl enable rssrv; systemctl restart rssrv; mkdir -p /storage/fast && rsadm pool add fast /storage/fast');
  await unit(server, 'collect', COLLECT, 'collect.pl');
  await server.run(`systemctl daemon-reload; : > ${ACKS}; : > ${TRACES}; systemctl enable --now collect`);
  const keys: string[] = [];
  for (const { name } of nodes) keys.push(await server.run(`rsadm client add ${name} --rights manage 2>/dev/null`));
  const [first] = nodes;
  const join = async (node: Guest): Promise<void> => {
    const key = keys[nodes.indexOf(node)];
    const command = `rsconfig join ${serverAddress} --name ${node.name} --key-file node.key`;
    await node.run(`(umask 077; echo ${key} > node.key); ${until(command, 10)}; systemctl enable rsiod; systemctl start rsiod`);
    await node.run(until('rsconfig -m status | grep -q "connected tx: ok"'));
    await unit(node, 'watch', WATCH, 'watch.pl');
    await unit(node, APP, SERVICE, 'ledger.pl');
    await node.run('systemctl daemon-reload; systemctl enable --now watch');
  };
  await Promise.all(nodes.map(join));
  const create = `rsconfig volume create ${APP} --size 64m --clients ${nodes.map(({ name }) => name).join()} --attach`;
  const made = await first.run(`${until(create, 10)}; mkfs.ext4 -q -L ${APP} /dev/av0/${APP}`);
  await first.run(`mount /dev/av0/${APP} /mnt && : > /mnt/lines && umount /mnt && rsconfig -d ${APP}`);
  report.check('a volume has a file system', true, made);
  const words = `--on ${APP} --nodes ${NAMES.nodes.join()} --service ${APP}.service --mounts ${MOUNT} --moving-address ${ADDRESS}/24`;
  const add = async (node: Guest): Promise<void> => {
    const added = await node.run(
      `rsconfig app add ${APP} ${words} && printf '%s\\n' ${times.map((line) => `'${line}'`).join(' ')} >> /etc/rscltcfg`,
    );
    const { code, text } = await node.try('rsapp --check && systemctl enable --now rsapp');
    report.check(`${node.name}: rsconfig app add, systemctl enable --now rsapp`, code === 0, `${added}\n${text.trim()}`);
  };
  await Promise.all(nodes.map(add));
}
