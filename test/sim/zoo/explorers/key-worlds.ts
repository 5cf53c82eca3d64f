// Two machines with the production engine for reservations over one disk in memory (F13). A process may end while its mount stays in the
// kernel, whose cached writes reach the disk at any later moment. Invariant: the disk executes no write of a client after a fence of this
// client was proven; the judge knows only the disk, the mounts and the proofs.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { RsError } from '@rsio/base/lib/errors';
import type { Sight, StorageClient } from '@rsio/rssrv/farm/engine';
import { ReservationEngine } from '@rsio/rssrv/farm/engines/reservation';
import { SharedDisk, type SharedDiskOptions } from '@rsio/rssrv/farm/engines/shared-disk';
import { type FarmRecord, firstRecord, taken } from '@rsio/rssrv/farm/farm-record';
import { ReservationTarget } from '@rsio/rssrv/testing/reservation-target';
import { override } from '../../base/override.ts';

const OWNERS = ['big-9', 'big-8'];
const STEPS = 60;
const NOTE = { generation: 0, count: 1, wants: null, refusal: null };

interface Machine {
  readonly name: string;
  engine: ReservationEngine;
  client: StorageClient | null;
  /** The client whose mount the kernel has; its cached writes may still come. */
  mounted: string | null;
}

type Disk = { readonly options: SharedDiskOptions };

class KeyWorld {
  fault: string | null = null;
  private readonly random: SeededRandom;
  private readonly target = new ReservationTarget();
  private record: FarmRecord = firstRecord(OWNERS, 0);
  private readonly fenced = new Set<string>();
  private readonly machines: readonly Machine[];

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.machines = OWNERS.map((name) => ({ name, engine: this.newEngine(name), client: null, mounted: null }));
  }

  /** Puts the disk of this world in the place of the real one. Returns a function that undoes this. */
  install(): () => void {
    const machineOf = ({ options }: Disk): Machine => this.machines.find(({ name }) => name === options.server)!;
    const write = (self: Disk): void => {
      if (!this.target.executes(machineOf(self).name)) throw new RsError('E_STORAGE', 'reservation conflict');
    };
    const isClear = (self: Disk): boolean => machineOf(self).mounted === null;
    const undos = [
      override<Disk, [], Promise<Sight>>(SharedDisk, 'look', () => async () => ({ record: this.record, notes: new Map() })),
      override<Disk, [FarmRecord, FarmRecord], Promise<boolean>>(SharedDisk, 'swap', () => async (self, seen, next) => {
        write(self);
        if (this.record.version !== seen.version) return false;
        this.record = next;
        return true;
      }),
      override<Disk, [], Promise<void>>(SharedDisk, 'post', () => async (self) => write(self)),
      override<Disk, [], Promise<boolean>>(SharedDisk, 'isClear', () => async (self) => isClear(self)),
      override<Disk, [], Promise<void>>(SharedDisk, 'clear', () => async (self) => {
        if (!isClear(self)) throw new RsError('E_STORAGE', 'The device is mounted');
      }),
      override<Disk, [], Promise<object>>(SharedDisk, 'makeDevice', () => async () => ({
        path: '/dev/loop0',
        close: async () => undefined,
      })),
    ];
    return () => {
      for (const undo of undos) undo();
    };
  }

  async step(): Promise<void> {
    const { random } = this;
    const machine = random.pick(this.machines);
    const { engine } = machine;
    switch (random.int(0, 5)) {
      case 0:
        return this.take(machine);
      case 1:
        // The process ends, and the next one clears up. The mount may still be in use.
        machine.engine = this.newEngine(machine.name);
        machine.client = null;
        return machine.engine.clear();
      case 2:
        // The kernel unmounts: the cached writes come first.
        if (random.chance(0.3)) {
          this.writeBack(machine);
          machine.mounted = null;
          await machine.client?.close();
          machine.client = null;
        }
        return;
      case 3:
        return engine.post(NOTE);
      default:
        return this.writeBack(machine);
    }
  }

  private newEngine(server: string): ReservationEngine {
    const options = { clock: new FakeClock(), random: () => this.random.unit(), disk: '/dev/x', server };
    return new ReservationEngine(options, this.target.of(server));
  }

  private async take(machine: Machine): Promise<void> {
    const { engine, name } = machine;
    const { record: before } = await engine.look();
    if (machine.client !== null || before === null) return;
    const client = await engine.connect(before.generation + 1);
    machine.client = client;
    const taking = taken(before, name, client.name, 0);
    if (taking === null || !(await engine.swap(before, taking))) return;
    for (const writer of taking.writers) {
      await engine.fence(writer);
      this.fenced.add(writer.client);
    }
    await engine.swap(taking, { ...taking, version: taking.version + 1, writers: [] });
    await client.open();
    machine.mounted = client.name;
  }

  private writeBack({ name, mounted }: Machine): void {
    if (mounted !== null && this.fenced.has(mounted) && this.target.executes(name))
      this.fault ??= `F13: the disk has executed a write of a fenced client of ${name}`;
  }
}

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export async function keyWorld(seed: number): Promise<string | null> {
  const world = new KeyWorld(seed);
  const undo = world.install();
  try {
    // A step that the engine refuses is no fault.
    for (let step = 0; step < STEPS && world.fault === null; step++) await world.step().catch(onlyRefusal);
    return world.fault;
  } finally {
    undo();
  }
}

function onlyRefusal(thrown: unknown): void {
  if (!(thrown instanceof RsError)) throw thrown;
}
