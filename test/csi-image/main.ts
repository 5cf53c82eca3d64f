// `npm run drill -- csi-image`: the driver for Kubernetes through its image. Two containers have the arguments and folders of the manifests, beside a
// real rssrv and rsiod on the host. A foreign client takes a mounted volume from its creation to its removal. Under verified I/O on this
// volume, the container of the node is killed and replaced. Invariants: the exit code is 0 if and only if there was no problem. No process,
// mount or container is left behind.

import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { programVersion } from '@rsio/base/lib/version';
import { isProgramThere } from '@rsio/base/testing/needs';
import { DeviceScene } from '../support/devices/device-scene.ts';
import { whyNoDevices } from '../support/devices/devices.ts';
import { clientConfig } from '../support/hosts/configs.ts';
import { Hosts } from '../support/hosts/hosts.ts';
import { fioJob } from '../support/io/fio-figures.ts';
import { start } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { CsiContainer, ImageStore } from './container.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };
const IMAGE = `dist/packages/rsio-csi_${programVersion()}_${ARCHITECTURES[process.arch]}.oci.tar`;
const HELP = `usage: npm run drill -- csi-image [--image FILE] [--times N]

Starts the image of rsio-csi as controller and as node, and lives the life of
a volume through it. Under verified I/O, the container of the node is killed
and replaced. Needs root, buildah, runc, fio, xfsprogs, python3-grpc-tools and
devices of rsiod.

  --image FILE   archive of the image (default: the one that
                 \`npm run package -- --images\` makes in dist/packages)
  --times N      how often the container is replaced (default 3)
  --help         print this help and exit
`;
const TOOLS = ['buildah', 'runc', 'fio', 'mkfs.xfs', 'perl'];
/** The Python of the system, which has the packages of Debian. */
const PYTHON = '/usr/bin/python3';
const NODE = 'big-2';
const CONTROLLER = 'venus';
const KUBELET = '/var/lib/kubelet';
const TARGET = 'pods/one/mount';
/** For this time, the node has no driver. I/O that needed the driver would wait for at least this time. */
const AWAY_MS = 5_000;
const PAUSE_MAX_MS = AWAY_MS / 2;
const SOON_MS = 60_000;
const LIFE_MS = 600_000;
const DISK_OF_POOL =
  'truncate -s 2g "$1/pool.img" && mkfs.xfs -q "$1/pool.img" && mkdir "$1/disk" && mount -o loop "$1/pool.img" "$1/disk" && mkdir "$1/disk/pool"';
const FIO = [
  ...['--name=pod', '--rw=randwrite', '--bs=8k', '--direct=1', '--ioengine=libaio', '--iodepth=4', '--size=16m', '--rate_iops=300'],
  ...['--verify=crc32c', '--verify_backlog=32', '--verify_fatal=1', '--verify_state_save=0', '--time_based', '--runtime=100'],
  ...['--output-format=json'],
];
const LIFE = [
  ...['Probe', 'GetPluginInfo', 'CreateVolume', 'ControllerPublishVolume', 'NodeGetInfo', 'NodeStageVolume', 'NodePublishVolume'],
  ...['NodeStageVolume', 'NodePublishVolume', 'ControllerExpandVolume', 'NodeExpandVolume', 'NodeGetVolumeStats', 'CreateSnapshot'],
  ...['NodeUnpublishVolume', 'NodeUnstageVolume', 'ControllerUnpublishVolume', 'DeleteVolume', 'DeleteSnapshot', 'DeleteVolume'],
  'ListVolumes',
];

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

interface Site {
  readonly scene: DeviceScene;
  readonly controller: CsiContainer;
  readonly node: CsiContainer;
  /** Folder of the host that is KUBELET in the container of the node. */
  readonly kubelet: string;
}

/** Starts server, rsiod of the node, rsiod of the controller, and both containers. */
async function makeSite(hosts: Hosts, image: string): Promise<Site> {
  const scene = await DeviceScene.begin(hosts, 'block', { rights: { [CONTROLLER]: 'admin' }, before: DISK_OF_POOL });
  const { host, devices, network } = scene;
  await host.rsadmWell('pool', 'add', 'fast', host.file('disk/pool'), '--reserve', '0%');
  const away = hosts.host();
  away.writeConfig('rsiod', clientConfig(network, { node: CONTROLLER, client: 1, defaults: { device: 'none' } }));
  await away.start('rsiod');
  await away.pathsUp(1);
  const [state, kubelet] = [scene.folder('csi-state'), scene.folder('kubelet')];
  await devices.well('mount --bind "$1" "$1" && mount --make-shared "$1"', kubelet);
  const store = new ImageStore(scene.folder('store'));
  await store.load(image);
  const place = { store, command: devices.command, folder: scene.folder('containers'), mark: `RSIO_TEST_HOST=${host.root}` };
  const runOf = (socket: string): string => path.dirname(socket);
  const controller = new CsiContainer('controller', {
    ...place,
    sources: { '/csi': scene.folder('csi-controller'), '/run/rsio': path.dirname(runOf(away.rsiodPaths.controlSocket)) },
    same: [],
  });
  const node = new CsiContainer('node', {
    ...place,
    sources: {
      '/csi': scene.folder('csi-node'),
      [KUBELET]: kubelet,
      '/run/rsio/rsiod': runOf(host.rsiodPaths.controlSocket),
      '/var/lib/rsio/csi': state,
      '/dev': '/dev',
    },
    // The rsiod of a test makes its devices below the folder of its host.
    same: [scene.folder('dev')],
  });
  await controller.start();
  await node.start();
  return { scene, controller, node, kubelet };
}

/** Replaces the container of the node under fio. Returns the problems. */
async function replace({ scene, node, kubelet }: Site, times: number): Promise<string[]> {
  const folder = path.join(kubelet, TARGET);
  if (!scene.devices.mounts().includes(folder)) return ['The mount of the container does not appear on the machine'];
  await scene.devices.well('echo kept > "$1/file" && sync "$1/file"', folder);
  const fio = scene.beside('fio', [`--directory=${folder}`, ...FIO]);
  const isWriting = async (): Promise<boolean> => (await scene.devices.shell('test "$(stat -c %b "$1"/pod*)" -gt 100', folder)).code === 0;
  await waitFor(isWriting, SOON_MS, 'fio writes');
  const problems: string[] = [];
  for (let time = 0; time < times; time++) {
    const signal = time % 2 === 0 ? 'KILL' : 'TERM';
    const code = await node.end(signal);
    if (signal === 'TERM' && code !== 0) problems.push(`The driver ended with ${code} after SIGTERM`);
    await sleep(AWAY_MS);
    await node.start();
    say(`SIG${signal} to the driver of the node; the next container is ready`);
  }
  fio.kill('SIGTERM');
  const { read, write } = fioJob((await fio.ended).stdout);
  const longestMs = Math.max(read.clat_ns.max, write.clat_ns.max) / 1e6;
  say(
    `${write.io_bytes / 8192} writes without an error; the longest took ${longestMs.toFixed(0)} ms, the driver was away for ${AWAY_MS} ms each time`,
  );
  if (write.io_bytes === 0 || read.io_bytes === 0) problems.push('fio has not written and verified');
  if (longestMs > PAUSE_MAX_MS) problems.push(`I/O waited for ${longestMs.toFixed(0)} ms`);
  if ((await scene.devices.well('cat "$1/file"', folder)) !== 'kept\n') problems.push('A file has another content');
  return problems;
}

/** Returns the problems that are visible when the volume is deleted. */
async function leftovers({ scene, kubelet }: Site): Promise<string[]> {
  const { volumes } = JSON.parse(await scene.host.rsadmWell('volume', 'list', '--json')) as { volumes: { name: string }[] };
  const { attachments } = await scene.host.call('local', {});
  return [
    ...volumes.filter(({ name }) => name !== 'oracle').map(({ name }) => `Volume ${name} is left`),
    ...attachments.map(({ name }) => `Volume ${name} is still attached`),
    ...scene.devices
      .mounts()
      .filter((place) => place.startsWith(`${kubelet}/`))
      .map((place) => `${place} is still mounted`),
  ];
}

async function play(image: string, times: number): Promise<string[]> {
  const hosts = new Hosts();
  let site: Site | undefined;
  try {
    site = await makeSite(hosts, image);
    const { scene, node, controller } = site;
    say('Both containers are ready');
    const [script, protos] = ['test/support/peers/csi-life.py', 'packages/csi/proto'].map((file) => path.join(ROOT, file));
    const sockets = ['csi-controller', 'csi-node'].map((folder) => scene.host.file(`${folder}/csi.sock`));
    const args = [script!, protos!, scene.folder('code'), sockets[0]!, NODE, sockets[1]!, KUBELET];
    const life = start(PYTHON, args, { isWrittenTo: true, timeoutMs: LIFE_MS });
    const ended = life.ended.then(({ stderr }) => Promise.reject(new Error(`The client ended too early: ${stderr}`)));
    await Promise.race([waitFor(() => life.stdout().includes('NodePublishVolume ok'), SOON_MS, 'The volume is published'), ended]);
    const problems = await replace(site, times);
    life.write('\n');
    ended.catch(() => undefined);
    const { code, stdout, stderr } = await life.ended;
    const said = stdout.trim().split('\n');
    const wanted = LIFE.map((name, index) => `${name} ${index === LIFE.indexOf('DeleteVolume') ? 'FAILED_PRECONDITION' : 'ok'}`);
    if (code !== 0 || said.join() !== wanted.join()) problems.push(`The client ended with ${code}, and did: ${said.join(', ')}\n${stderr}`);
    say(`${said.length} calls of the foreign client`);
    problems.push(...(await leftovers(site)));
    for (const one of [node, controller]) await one.end('TERM');
    return problems;
  } finally {
    await hosts.clean();
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      image: { type: 'string', default: path.join(ROOT, IMAGE) },
      times: { type: 'string', default: '3' },
      help: { type: 'boolean', default: false },
    },
  });
  const times = Number(values.times);
  if (values.help || !Number.isInteger(times) || times < 1) {
    process.stdout.write(HELP);
    return values.help ? 0 : 2;
  }
  const missing = TOOLS.filter((tool) => !isProgramThere(tool as 'sed'));
  const why = missing.length > 0 ? `needs ${missing.join(', ')}` : whyNoDevices();
  if (why !== null) throw new Error(`The machine ${why}`);
  if (!existsSync(values.image)) throw new Error(`No image ${values.image}: run npm run package -- --images, or give --image`);
  const problems = await play(path.resolve(values.image), times);
  for (const problem of problems) say(`PROBLEM ${problem}`);
  say(`${problems.length} problems`);
  return problems.length === 0 ? 0 : 1;
}

process.exitCode = await main();
