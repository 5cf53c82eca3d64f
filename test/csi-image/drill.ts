// `npm run drill -- csi-image`: the driver for Kubernetes through its image. Two containers have the arguments and folders of the manifests, beside a
// real rssrv and rsiod on the host. A foreign client takes a mounted volume from its creation to its removal. Under verified I/O on this
// volume, the container of the node is killed and replaced.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { programVersion } from '@rsio/base/lib/version';
import { DeviceScene } from '../support/devices/device-scene.ts';
import { defineDrill } from '../support/drills/harness.ts';
import { DEVICES, type Need, program, XFS } from '../support/drills/needs.ts';
import { count, text } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import { clientConfig } from '../support/hosts/configs.ts';
import type { Hosts } from '../support/hosts/hosts.ts';
import { fioJob } from '../support/io/fio-figures.ts';
import { start } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { CsiContainer, ImageStore } from './container.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };
const IMAGE = `dist/packages/rsio-csi_${programVersion()}_${ARCHITECTURES[process.arch]}.oci.tar`;
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
async function replace(on: Scene, { scene, node, kubelet }: Site, times: number): Promise<string[]> {
  const folder = path.join(kubelet, TARGET);
  if (!scene.devices.mounts().includes(folder)) return ['The mount of the container does not appear on the machine'];
  await scene.devices.well('echo kept > "$1/file" && sync "$1/file"', folder);
  const fio = scene.beside('fio', [`--directory=${folder}`, ...FIO]);
  const isWriting = async (): Promise<boolean> => (await scene.devices.shell('test "$(stat -c %b "$1"/pod*)" -gt 100', folder)).code === 0;
  await waitFor(isWriting, SOON_MS, 'fio writes');
  const problems: string[] = [];
  for (let time = 0; time < times; time++) {
    on.round(`replacement ${time + 1}`);
    const signal = time % 2 === 0 ? 'KILL' : 'TERM';
    const code = await node.end(signal);
    if (signal === 'TERM' && code !== 0) problems.push(`The driver ended with ${code} after SIGTERM`);
    await sleep(AWAY_MS);
    await node.start();
    on.say(`SIG${signal} to the driver of the node; the next container is ready`);
  }
  fio.kill('SIGTERM');
  const { read, write } = fioJob((await fio.ended).stdout);
  const longestMs = Math.max(read.clat_ns.max, write.clat_ns.max) / 1e6;
  on.say(
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

async function play(on: Scene, { image: named, times }: { image: string; times: number }): Promise<void> {
  const image = path.resolve(named);
  if (!existsSync(image)) throw new Error(`No image ${image}: run npm run package -- --images, or give --image`);
  const site = await makeSite(on.hosts, image);
  const { scene, node, controller } = site;
  on.say('Both containers are ready');
  const [script, protos] = ['test/support/peers/csi-life.py', 'packages/csi/proto'].map((file) => path.join(ROOT, file));
  const sockets = ['csi-controller', 'csi-node'].map((folder) => scene.host.file(`${folder}/csi.sock`));
  const args = [script!, protos!, scene.folder('code'), sockets[0]!, NODE, sockets[1]!, KUBELET];
  const life = start(PYTHON, args, { isWrittenTo: true, timeoutMs: LIFE_MS });
  const ended = life.ended.then(({ stderr }) => Promise.reject(new Error(`The client ended too early: ${stderr}`)));
  await Promise.race([waitFor(() => life.stdout().includes('NodePublishVolume ok'), SOON_MS, 'The volume is published'), ended]);
  on.problem(...(await replace(on, site, times)));
  on.at('end');
  life.write('\n');
  ended.catch(() => undefined);
  const { code, stdout, stderr } = await life.ended;
  const said = stdout.trim().split('\n');
  const wanted = LIFE.map((name, index) => `${name} ${index === LIFE.indexOf('DeleteVolume') ? 'FAILED_PRECONDITION' : 'ok'}`);
  if (code !== 0 || said.join() !== wanted.join()) on.problem(`The client ended with ${code}, and did: ${said.join(', ')}\n${stderr}`);
  on.say(`${said.length} calls of the foreign client`);
  on.problem(...(await leftovers(site)));
  for (const one of [node, controller]) await one.end('TERM');
}

/** Makes the code of the foreign client. */
const GRPC: Need = {
  what: 'python3-grpc-tools',
  why: () => (spawnSync(PYTHON, ['-c', 'import grpc_tools']).status === 0 ? null : 'needs grpc_tools: install python3-grpc-tools'),
};

export const drill = defineDrill({
  about: `Starts the image of rsio-csi as controller and as node, and lives the life of a volume through it. Under verified I/O, the container of the
    node is killed and replaced.`,
  needs: [DEVICES, program('buildah', 'buildah'), program('runc', 'runc'), program('fio', 'fio'), XFS, program('perl', 'perl'), GRPC],
  unit: 'replacements',
  options: {
    image: text('FILE', path.join(ROOT, IMAGE), 'archive of the image, as `npm run package -- --images` makes it'),
    times: count(3, 'how often the container is replaced'),
  },
  play,
});
