// The image of rsio-csi as a container, as Kubernetes starts it by the manifests: buildah unpacks the image into a storage of its own, and
// runc starts it. `buildah run` is not used, because its containers may not open the devices of the machine, and their mounts do not appear
// on the machine. Invariants: each start is a new container of the image. Containers end with the host, whose mark they have in their
// environment.

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CsiClient } from '@rsio/csi/testing/csi-client';
import { type Running, runWell, start } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { argsOf, mountsOf, readManifest } from '../support/scenes/csi-manifests.ts';

const START_MS = 30_000;
const CONTAINER_MS = 1_800_000;
const BUILDAH_MS = 300_000;
/** The rights that the node uses. A privileged container has all rights, but even root may lack some rights on the machine of the test. */
const NODE_RIGHTS = ['CAP_SYS_ADMIN', 'CAP_DAC_OVERRIDE', 'CAP_MKNOD'];
const NAMESPACES = ['pid', 'mount', 'network', 'ipc', 'uts'];

/** A storage of buildah in a folder, with one image. */
export class ImageStore {
  private readonly storage: readonly string[];
  private image = '';

  constructor(folder: string) {
    this.storage = ['--storage-driver', 'vfs', '--root', path.join(folder, 'images'), '--runroot', path.join(folder, 'images-run')];
  }

  /** `archive`: file of an image. */
  async load(archive: string): Promise<void> {
    this.image = (await this.buildah('pull', '--quiet', `oci-archive:${archive}`)).trim();
  }

  /** Makes a container of the image. Returns its name, the folder of its files, and the command and the environment of the image. */
  async unpack(): Promise<{ name: string; root: string; entrypoint: string[]; env: string[] }> {
    const name = (await this.buildah('from', '--pull-never', this.image)).trim();
    const root = (await this.buildah('mount', name)).trim();
    const { OCIv1 } = JSON.parse(await this.buildah('inspect', name)) as { OCIv1: { config: { Entrypoint: string[]; Env: string[] } } };
    return { name, root, entrypoint: OCIv1.config.Entrypoint, env: OCIv1.config.Env };
  }

  async remove(name: string): Promise<void> {
    await this.buildah('rm', name);
  }

  private buildah(...args: readonly string[]): Promise<string> {
    return runWell('buildah', [...this.storage, ...args], { timeoutMs: BUILDAH_MS });
  }
}

export interface ContainerPlace {
  readonly store: ImageStore;
  /** Prefix of runc's command line. With this prefix, the container gets the mounts of this place. */
  readonly command: readonly string[];
  /** Folder for the state of the containers. */
  readonly folder: string;
  /** Environment variable by which the processes of the host are found. */
  readonly mark: string;
  /** Folder of the machine for each folder that a manifest names. */
  readonly sources: Readonly<Record<string, string>>;
  /** Folders that the container sees at the same path, in addition to those of the manifest. */
  readonly same: readonly string[];
}

export class CsiContainer {
  readonly client: CsiClient;
  private readonly role: 'controller' | 'node';
  private readonly place: ContainerPlace;
  private running: Running | null = null;
  private current = '';
  private count = 0;

  /** Takes arguments and folders from the manifest of the role. */
  constructor(role: 'controller' | 'node', place: ContainerPlace) {
    [this.role, this.place] = [role, place];
    this.client = new CsiClient(path.join(place.sources['/csi'] ?? '', 'csi.sock'));
  }

  /** Makes a container of the image and starts it; resolves when the driver is ready. */
  async start(): Promise<void> {
    const { store, folder, command } = this.place;
    const { name, root, entrypoint, env } = await store.unpack();
    this.current = name;
    const bundle = path.join(folder, `${this.role}-${++this.count}`);
    mkdirSync(bundle);
    const args = [...entrypoint, ...argsOf(readManifest(this.role), 'rsio-csi')];
    writeFileSync(path.join(bundle, 'config.json'), JSON.stringify(this.specification(root, args, env)));
    const [first = '', ...rest] = [...command, ...this.runc('run', '--bundle', bundle, name)];
    const running = start(first, rest, { timeoutMs: CONTAINER_MS });
    this.running = running;
    const died = running.ended.then(({ stdout, stderr }) => Promise.reject(new Error(`The container ended: ${stdout}${stderr}`)));
    // Ignores a rejection after the start, because end() then looks at the result.
    died.catch(() => undefined);
    await Promise.race([waitFor(() => this.isReady(), START_MS, `The ${this.role} in the container is ready`), died]);
  }

  /** Sends a signal to the driver in the container, waits for its end, and removes the container. Returns the exit code of the driver. */
  async end(signal: 'KILL' | 'TERM'): Promise<number | null> {
    const { command, store } = this.place;
    if (this.running === null) return null;
    const [first = '', ...rest] = [...command, ...this.runc('kill', this.current, signal)];
    await runWell(first, rest);
    const { code } = await this.running.ended;
    this.running = null;
    await store.remove(this.current);
    return code;
  }

  private async isReady(): Promise<boolean> {
    const { ready } = (await this.client.call('Identity', 'Probe')) as { ready: { value: boolean } };
    return ready.value;
  }

  private runc(...words: readonly string[]): string[] {
    return ['runc', '--root', path.join(this.place.folder, 'runc'), ...words];
  }

  private specification(root: string, args: readonly string[], env: readonly string[]): object {
    const { mark, sources, same } = this.place;
    const isNode = this.role === 'node';
    const rights = isNode ? NODE_RIGHTS : [];
    const bound = (source: string, destination: string, propagation: string): object => ({
      source,
      destination,
      type: 'bind',
      options: ['rbind', propagation],
    });
    const given = mountsOf(readManifest(this.role), 'rsio-csi').map(({ place, isBidirectional }) => {
      const source = sources[place];
      if (source === undefined) throw new Error(`The drill has no folder for ${place} of the manifest`);
      return bound(source, place, isBidirectional ? 'rshared' : 'rslave');
    });
    return {
      ociVersion: '1.0.2',
      process: {
        user: { uid: 0, gid: 0 },
        args,
        env: [...env, mark],
        cwd: '/',
        capabilities: { bounding: rights, effective: rights, permitted: rights },
      },
      root: { path: root },
      mounts: [
        { destination: '/proc', type: 'proc', source: 'proc' },
        { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['ro'] },
        ...given,
        ...(isNode ? same.map((folder) => bound(folder, folder, 'rslave')) : []),
      ],
      linux: {
        namespaces: NAMESPACES.map((type) => ({ type })),
        rootfsPropagation: isNode ? 'rshared' : 'rslave',
        resources: { devices: isNode ? [{ allow: true, access: 'rwm' }] : [] },
      },
    };
  }
}
