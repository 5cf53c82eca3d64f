// Power cuts during changes of snapshots, on XFS: at a random moment, the file system is shut down, which loses unwritten data, and is then
// mounted again. Each answered snapshot must be complete, and the change in progress must be made completely or not at all. No synced write
// may be lost, and no file left behind. The production verbs and clones run in this process, without clients. RUNS sets the number of cuts.
// Skipped without root or xfsprogs.

import { spawnSync } from 'node:child_process';
import { fsyncSync, openSync, closeSync, mkdirSync, readFileSync, readdirSync, writeSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '@rsio/base/lib/clock';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { LOCAL_ASKER } from '@rsio/rssrv/pools/asker';
import { systemReflink } from '@rsio/rssrv/pools/snapshots/reflink';
import { PoolScene } from '@rsio/rssrv/testing/pool-scene';
import { expect, it } from 'vitest';
import { makeReflinkDisk } from '../support/devices/reflink-disk.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { needTool } from '../support/programs/programs.ts';
import { report } from '../support/programs/report.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { WHOLE_TURN } from '@rsio/rssrv/testing/whole-turn';

const RUNS = Number(process.env['RUNS'] ?? 4);
const SEED = Number(process.env['SEED'] ?? 20);
const BLOCK_BYTES = 4096;
const SIZE_BYTES = 64 * BLOCK_BYTES;
const NAMES = ['db', 'log'] as const;
/** At most this many snapshots exist, because more would fill the small disk. */
const SNAPSHOTS_MAX = 30;
const CLONES_MAX = 100;
const FREE_MS = 10_000;
/** The cut comes at a random time, at most this long after the start. */
const CUT_MS = 400;
const TEST_MS = 60_000 + RUNS * 5_000;

const hosts = useHosts();

type Name = (typeof NAMES)[number];

/** The expected contents. Each block contains the number of the write that has written it. */
class Model {
  /** For each volume: the numbers that its blocks may have after a cut, including the newest number. */
  readonly allowed: Record<Name, Set<number>> = { db: new Set([0]), log: new Set([0]) };
  readonly last: Record<Name, number> = { db: 0, log: 0 };
  /** For each volume and snapshot: the number in all blocks of the snapshot. */
  readonly snapshots: Record<Name, Map<string, number>> = { db: new Map(), log: new Map() };
  /** The change in progress: the snapshots that it makes or removes, and its effect on a volume. */
  pending: {
    readonly names: readonly (readonly [Name, string])[];
    readonly rolledBack?: readonly [Name, number];
    readonly isRemoval?: true;
  } | null = null;
}

function fill(file: string, value: number, isSynced: boolean): void {
  const descriptor = openSync(file, 'r+');
  const block = Buffer.alloc(BLOCK_BYTES);
  block.writeUInt32LE(value);
  for (let at = 0; at < SIZE_BYTES; at += BLOCK_BYTES) writeSync(descriptor, block, 0, BLOCK_BYTES, at);
  if (isSynced) fsyncSync(descriptor);
  closeSync(descriptor);
}

function numbersIn(file: string): Set<number> {
  const content = readFileSync(file);
  expect(content.length).toBe(SIZE_BYTES);
  return new Set(Array.from({ length: SIZE_BYTES / BLOCK_BYTES }, (_, index) => content.readUInt32LE(index * BLOCK_BYTES)));
}

class PowerScene {
  readonly model = new Model();
  readonly mount: string;
  readonly random: SeededRandom;
  scene: PoolScene | null = null;
  private number = 0;
  private clones = 0;
  isCut = false;

  constructor(mount: string, random: SeededRandom) {
    this.mount = mount;
    this.random = random;
  }

  async open(): Promise<PoolScene> {
    this.scene = await PoolScene.open(this.mount, { clock: systemClock, reflink: systemReflink() });
    return this.scene;
  }

  folder(name: Name): string {
    const [pool] = this.scene!.pools.states;
    const volume = [...pool!.volumes.values()].find((one) => one.name === name);
    return path.join(pool!.path, 'volumes', volume!.id);
  }

  /** Makes one random change. Throws once the file system is shut down. */
  async step(): Promise<void> {
    const { model, random } = this;
    const snapshots = this.scene!.snapshots;
    const name = random.pick(NAMES);
    const known = [...model.snapshots[name].keys()];
    const [some] = known.length === 0 ? [] : [random.pick(known)];
    const target = { name, universe: 0, snapshot: some ?? '' };
    const choice = known.length > SNAPSHOTS_MAX ? 3 : random.int(0, this.clones < CLONES_MAX ? 5 : 4);
    if (choice <= 1 || some === undefined) {
      if (choice === 0) this.write(name, random.chance(0.5));
      const names = random.chance(0.5) ? NAMES : [name];
      const snapshot = `s${++this.number}`;
      model.pending = { names: names.map((one) => [one, snapshot] as const) };
      await snapshots.snapshot(
        names.map((one) => ({ name: one, universe: 0, snapshot })),
        LOCAL_ASKER,
        null,
        WHOLE_TURN,
      );
      for (const one of names) {
        model.snapshots[one].set(snapshot, model.last[one]);
        model.allowed[one] = new Set([model.last[one]]);
      }
    } else if (choice === 2) this.write(name, random.chance(0.5));
    else if (choice === 3) {
      model.pending = { names: [[name, some]], isRemoval: true };
      await snapshots.remove(target, LOCAL_ASKER, null);
      model.snapshots[name].delete(some);
    } else if (choice === 5) {
      this.clones++;
      await snapshots.clone(target, { name: `c${++this.number}`, universe: 0 }, LOCAL_ASKER, null, WHOLE_TURN);
    } else {
      const value = model.snapshots[name].get(some)!;
      model.pending = { names: [[name, 'before-rollback']], rolledBack: [name, value] };
      const { kept } = await snapshots.rollback(target, LOCAL_ASKER, null);
      model.snapshots[name].set(kept!.name, model.last[name]);
      model.last[name] = value;
      model.allowed[name] = new Set([value]);
    }
    model.pending = null;
  }

  private write(name: Name, isSynced: boolean): void {
    const { model } = this;
    const value = ++this.number;
    model.last[name] = value;
    model.allowed[name].add(value);
    fill(path.join(this.folder(name), 'data'), value, isSynced);
    if (isSynced) model.allowed[name] = new Set([value]);
  }

  cut(): void {
    this.isCut = true;
    if (spawnSync('xfs_io', ['-x', '-c', 'shutdown', this.mount]).status !== 0) throw new Error('xfs_io cannot shut the file system down');
  }

  async judge(): Promise<void> {
    const { model } = this;
    const scene = await this.open();
    expect(scene.picture()).not.toMatch(/finding|pending/);
    const made = new Set<boolean>();
    for (const name of NAMES) {
      const folder = this.folder(name);
      const present = new Set(
        (readdirSync(folder, { recursive: true }) as string[]).flatMap((one) => /^snapshots\/(.*)\.data$/.exec(one)?.[1] ?? []),
      );
      for (const [snapshot, value] of model.snapshots[name]) {
        const isGoing = model.pending?.isRemoval === true && model.pending.names.some(([of, one]) => of === name && one === snapshot);
        if (!isGoing) expect(present.has(snapshot), `${name}@${snapshot} was answered`).toBe(true);
        if (present.has(snapshot)) expect(numbersIn(path.join(folder, 'snapshots', `${snapshot}.data`))).toEqual(new Set([value]));
        else model.snapshots[name].delete(snapshot);
        present.delete(snapshot);
      }
      // The change in progress was made completely or not at all.
      const wanted = model.pending?.isRemoval === true ? [] : (model.pending?.names.filter(([of]) => of === name) ?? []);
      for (const [, snapshot] of wanted) {
        const one = [...present].find((found) => found === snapshot || found.startsWith(`${snapshot}-`));
        made.add(one !== undefined);
        if (one === undefined) continue;
        present.delete(one);
        expect(numbersIn(path.join(folder, 'snapshots', `${one}.data`))).toEqual(new Set([model.last[name]]));
        model.snapshots[name].set(one, model.last[name]);
      }
      expect([...present], 'nothing else').toEqual([]);
      const back = model.pending?.rolledBack;
      const isBack = back?.[0] === name && made.has(true);
      const numbers = numbersIn(path.join(folder, 'data'));
      const allowed = isBack ? new Set([back[1]]) : model.allowed[name];
      expect(
        [...numbers].filter((number) => !allowed.has(number)),
        `${name} has what was synced`,
      ).toEqual([]);
      // After this, the volume must keep its current content.
      model.allowed[name] = numbers;
      this.write(name, true);
    }
    expect(made.size, 'all snapshots of a request or none').toBeLessThan(2);
    model.pending = null;
  }
}

it('after a power cut, what was answered is there, what was not is there whole or not at all, and nothing is left', {
  timeout: TEST_MS,
}, async (context) => {
  needTool(context, 'xfs_io', 'xfsprogs');
  const host = hosts.host();
  const mount = makeReflinkDisk(hosts, host);
  context.skip(mount === null, 'needs xfsprogs and root');
  const image = host.file('reflink.img');
  const random = new SeededRandom(SEED);
  const power = new PowerScene(mount!, random);
  mkdirSync(path.join(mount!, 'fast'));
  const first = await power.open();
  for (const name of NAMES) await first.create({ name, sizeBytes: SIZE_BYTES });
  for (const name of NAMES) fill(path.join(power.folder(name), 'data'), 0, true);
  let steps = 0;
  for (let run = 0; run < RUNS; run++) {
    power.isCut = false;
    const cut = pause(random.int(0, CUT_MS)).then(() => power.cut());
    try {
      for (;;) {
        await power.step();
        steps++;
      }
    } catch (thrown) {
      if (!power.isCut) throw thrown;
    }
    await cut;
    await power.scene!.pools.close().catch(() => undefined);
    spawnSync('umount', ['--lazy', mount!]);
    // Waits until the change in progress has closed its files. An open file keeps the old file system alive, and a mount would then return
    // the same file system again.
    await waitFor(() => spawnSync('losetup', ['-j', image], { encoding: 'utf8' }).stdout === '', FREE_MS, 'The disk is free');
    for (let tries = 0; spawnSync('mount', ['-o', 'loop', image, mount!]).status !== 0; tries++) {
      if (tries > 50) throw new Error('The file system cannot be mounted again');
      await pause(20);
    }
    await power.judge();
  }
  report('power cuts', { cuts: RUNS, changes: steps });
  await power.scene!.pools.close();
});
