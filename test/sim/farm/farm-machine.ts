// A machine of a simulated farm: its kernel with the mount of the pool, its link to the shared storage, and the engine and the mount as a
// process of its server uses them. Invariant: an answer never reaches a later process than the one that has asked.

import { RsError } from '@rsio/base/lib/errors';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { Engine, StorageClient } from '@rsio/rssrv/farm/engine';
import { ENGINE_CALL_MS } from '@rsio/rssrv/farm/limits';
import type { PoolMount } from '@rsio/rssrv/farm/pool-mount';
import { type SimClock, SimProcess } from '../base/sim-clock.ts';
import { FarmMount } from './farm-mount.ts';
import type { DiskClient, LinkedMachine, SharedDisk } from './shared-disk.ts';

/** A client of the storage in the kernel of a machine. */
class KernelClient implements DiskClient {
  readonly name: string;
  readonly generation: number;
  isEnded = false;

  constructor({ name, generation }: DiskClient) {
    this.name = name;
    this.generation = generation;
  }
}

export interface MachinePorts {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly disk: SharedDisk;
  readonly writeBackMs: number;
  /** Called, with the name of the step, before each call of the engine, each unmount, and each change of the ledger. */
  reached(step: string): void;
}

export class FarmMachine implements LinkedMachine {
  readonly name: string;
  kernel: SimProcess;
  mount: FarmMount | null = null;
  /** The client whose device the kernel is mounting. */
  private mounting: KernelClient | null = null;
  isCutOff = false;
  readonly held: (() => void)[] = [];
  private clients: KernelClient[] = [];
  private readonly ports: MachinePorts;

  constructor(name: string, ports: MachinePorts) {
    this.name = name;
    this.ports = ports;
    this.kernel = new SimProcess(ports.clock);
  }

  reached(step: string): void {
    this.ports.reached(step);
  }

  /** The machine has died. What it has sent to the storage may still be executed. */
  crash(): void {
    this.mount?.died();
    this.mount = null;
    this.mounting = null;
    this.clients = [];
    this.kernel.kill();
    this.kernel = new SimProcess(this.ports.clock);
  }

  join(): void {
    this.isCutOff = false;
    for (const goOn of this.held.splice(0)) goOn();
  }

  engineFor(process: SimProcess): Engine {
    const { disk } = this.ports;
    const call = <T>(step: string, execute: () => T): Promise<T> => this.call(process, step, execute);
    return {
      kind: 'simulated',
      prepare: () => Promise.resolve(),
      look: () => call('look', () => disk.look()),
      swap: (seen, next) => call('swap', () => disk.swap(seen, next)),
      post: (note) => call('post', () => void disk.notes.set(this.name, note)),
      connect: async (generation) => {
        const client = new KernelClient(await call('connect', () => disk.newClient(generation)));
        this.clients.push(client);
        return this.clientFor(process, client);
      },
      fence: async ({ client, server, generation }) => {
        if (await call('fence', () => disk.fence(client))) return;
        throw new RsError('E_FENCE', `The fence of ${server}, generation ${generation}, is not proven`);
      },
      clear: async () => {
        await this.inKernel(process, () => undefined);
        if (this.mount !== null || this.mounting !== null) throw new RsError('E_STORAGE', 'Its device is mounted');
        for (const client of this.clients.splice(0)) client.isEnded = true;
      },
      close: () => Promise.resolve(),
    };
  }

  mountFor(process: SimProcess): PoolMount {
    return {
      mount: (device) => this.mountDevice(process, device),
      unmount: async () => {
        this.reached('unmount');
        const { mount, kernel } = this;
        if (mount === null) return this.inKernel(process, () => undefined);
        if (mount.files.size > 0) throw new RsError('E_BUSY', `The pool is in use: ${mount.files.size} files are open`);
        await new Promise<void>((resolve) =>
          mount.unmount(() => {
            if (this.mount === mount) this.mount = null;
            kernel.after(0, () => process.after(0, resolve));
          }),
        );
      },
      refuseCopies: () => Promise.resolve(),
      grow: () => Promise.resolve(),
      probe: (isWriting) => this.probe(process, isWriting),
    };
  }

  private async mountDevice(process: SimProcess, device: string): Promise<void> {
    const { disk, random, writeBackMs } = this.ports;
    const { kernel } = this;
    const client = this.clients.find(({ name }) => name === device);
    if (client === undefined || client.isEnded || this.mount !== null) throw new RsError('E_POOL', 'There is no such device');
    this.reached('mount');
    this.mounting = client;
    const isMounted = await new Promise<boolean>((resolve, reject) => {
      const late = process.after(ENGINE_CALL_MS, () => reject(new RsError('E_POOL', 'The device cannot be mounted in time')));
      const done = (ledger: string | null): void => {
        this.mounting = null;
        if (ledger !== null) this.mount = new FarmMount(client, ledger, { disk, machine: this, kernel, random, writeBackMs });
        late.cancel();
        process.after(0, () => resolve(ledger !== null));
      };
      // The kernel goes on if the process gives up or ends, and the device stays in use until then.
      disk.send(this, kernel, () => disk.mount(client), done);
    });
    if (!isMounted) throw new RsError('E_POOL', 'The device cannot be mounted: its client is fenced');
  }

  private async probe(process: SimProcess, isWriting: boolean): Promise<void> {
    const { mount } = this;
    const isFine = await new Promise<boolean>((resolve) => {
      const end = (isDone: boolean): void => void process.after(0, () => resolve(isDone));
      if (mount === null || mount.hasFailed || !isWriting) end(mount?.hasFailed === false);
      else mount.replaceLedger(null, end);
    });
    if (!isFine || this.mount !== mount) throw new RsError('E_POOL', 'The file system of the pool has failed');
  }

  private clientFor(process: SimProcess, client: KernelClient): StorageClient {
    return {
      name: client.name,
      get hasEnded() {
        return client.isEnded;
      },
      open: () => this.inKernel(process, () => client.name),
      grow: () => Promise.resolve(0),
      cut: () =>
        this.inKernel(process, () => {
          if (this.mount?.client === client) this.mount.cut();
        }),
      close: async () => {
        await this.inKernel(process, () => undefined);
        if (this.mount?.client === client || this.mounting === client) throw new RsError('E_STORAGE', 'Its device is mounted');
        client.isEnded = true;
        this.clients = this.clients.filter((one) => one !== client);
      },
    };
  }

  /** Asks the storage. Throws E_STORAGE if it does not answer in time; the outcome is then unknown. */
  private call<T>(process: SimProcess, step: string, execute: () => T): Promise<T> {
    this.reached(step);
    return new Promise((resolve, reject) => {
      const late = process.after(ENGINE_CALL_MS, () => reject(new RsError('E_STORAGE', 'The storage does not answer')));
      this.ports.disk.send(this, process, execute, (result) => {
        late.cancel();
        resolve(result);
      });
    });
  }

  private inKernel<T>(process: SimProcess, work: () => T): Promise<T> {
    const { kernel } = this;
    return new Promise((resolve) => kernel.after(this.ports.random.unit(), () => process.after(0, () => resolve(work()))));
  }
}
