// Faults aimed at acknowledged writes that are not yet on disk: failing write-back, a crash or a full disk during a replay, the loss of
// client and server machine together, and a take-over after a machine crash, before the client that had the volume returns. sim-faults.ts
// has the other faults. sim-faults.ts also ends the faults of this file.

import type { SimClient } from '../machines/sim-client.ts';
import type { SimProcess } from '../base/sim-clock.ts';
import type { SimServer } from '../machines/sim-server.ts';
import type { Fault } from '../storage/sim-storage.ts';
import type { Targets } from './sim-targets.ts';
import type { SimVolume } from '../machines/sim-volume.ts';

/** Faults that this file needs from sim-faults.ts. */
export interface Strikes {
  readonly isOver: boolean;
  crashMachine(server: SimServer): void;
  killListener(server: SimServer): void;
  kill(client: SimClient): void;
  pause(process: SimProcess, maxMs: number): void;
  /** Calls `end` after up to `maxMs`, or when all faults are healed. */
  forAWhile(maxMs: number, end: () => void): void;
}

export interface DurabilityCounts {
  replayFaults: number;
  doubleCrashes: number;
  crashTakeOvers: number;
}

/** REPLAY_FAULT_CHANCE: chance of a fault after each request of a replay. REPLAY_FAULT_MS: the fault comes within this time. */
const REPLAY_FAULT_CHANCE = 0.08;
const REPLAY_FAULT_MS = 50;
/**
 * SHOWN_CRASH_CHANCE: chance of a machine crash after a read has returned a change that is not yet answered. SHOWN_CRASH_MS: the crash
 * comes within this time.
 */
const SHOWN_CRASH_CHANCE = 0.004;
const SHOWN_CRASH_MS = 2;
const TAKE_OVER_CHANCE = 0.3;
const AWAY_MAX_MS = 6000;

export class DurabilityFaults {
  readonly counts: DurabilityCounts = { replayFaults: 0, doubleCrashes: 0, crashTakeOvers: 0 };
  private readonly targets: Targets;
  private readonly strikes: Strikes;

  constructor(targets: Targets, strikes: Strikes) {
    this.targets = targets;
    this.strikes = strikes;
  }

  writeBackFails(): void {
    const { random, volumes } = this.targets;
    const dirty = volumes.filter(({ storage }) => storage.cache.hasDirty);
    if (dirty.length > 0) random.pick(dirty).storage.writeBackFails();
  }

  failStorage(volume: SimVolume, fault: Fault, maxMs: number): void {
    const { storage } = volume;
    storage.fault = fault;
    this.strikes.forAWhile(maxMs, () => {
      storage.fault = 'none';
    });
  }

  /** Like a power failure of client and server: unsynced data and the replay logs are both lost. */
  crashBoth(server: SimServer, client: SimClient): void {
    if (!server.isListening || client.process.isKilled) return;
    this.counts.doubleCrashes++;
    this.strikes.kill(client);
    this.strikes.crashMachine(server);
  }

  /** Called when the replay of a log starts, and each time a request of this replay has taken effect. */
  replayed(volume: SimVolume): void {
    const { clock, random } = this.targets;
    if (this.strikes.isOver || !random.chance(REPLAY_FAULT_CHANCE)) return;
    clock.after(random.unit() ** 3 * REPLAY_FAULT_MS, () => {
      if (this.strikes.isOver) return;
      this.counts.replayFaults++;
      this.befallReplay(volume);
    });
  }

  /**
   * Called when a read has returned a change that is not yet answered. A crash may undo the change. After a crash that undoes the change,
   * the client must restore it before the next read.
   */
  shown(volume: SimVolume): void {
    const { clock, random, servers } = this.targets;
    if (this.strikes.isOver || !random.chance(SHOWN_CRASH_CHANCE)) return;
    const server = servers.find(({ serverid }) => serverid === volume.serverid)!;
    clock.after(random.unit() * SHOWN_CRASH_MS, () => {
      if (!this.strikes.isOver) this.strikes.crashMachine(server);
    });
  }

  /**
   * Several clients compete for the volume. Another client tries to take the volume over before its former holder returns. Without force,
   * the server refuses the take-over.
   */
  crashed(server: SimServer): void {
    const { clock, random, volumes } = this.targets;
    const fought = volumes.filter((volume) => volume.serverid === server.serverid && volume.isFought && this.holderOf(volume) !== null);
    if (fought.length === 0 || !random.chance(TAKE_OVER_CHANCE)) return;
    const volume = random.pick(fought);
    const holder = this.holderOf(volume)!;
    this.counts.crashTakeOvers++;
    this.strikes.pause(holder.process, AWAY_MAX_MS);
    for (const maxMs of [AWAY_MAX_MS / 4, AWAY_MAX_MS / 2, AWAY_MAX_MS])
      clock.after(random.unit() * maxMs, () => {
        if (!this.strikes.isOver) this.targets.takeOver(volume);
      });
  }

  private befallReplay(volume: SimVolume): void {
    const { random, servers, trace } = this.targets;
    const server = servers.find(({ serverid }) => serverid === volume.serverid)!;
    const holder = this.holderOf(volume);
    const sessions = [...server.sessions.values()].filter(({ node }) => node === holder?.names.node);
    const kinds: readonly (readonly [string, () => void])[] = [
      ['the server process is killed', () => sessions[0]?.kill()],
      [
        'the server process is ended',
        () => sessions[0]?.process.isPaused === false && sessions[0].end('E_SHUTTING_DOWN', 'The session is ended'),
      ],
      ['the listener is killed', () => this.strikes.killListener(server)],
      ['the machine crashes', () => this.strikes.crashMachine(server)],
      ['the disk is full', () => this.failStorage(volume, 'full', 2000)],
      ['writes fail', () => this.failStorage(volume, 'write', 1000)],
      ['syncs fail', () => this.failStorage(volume, 'flush', 1000)],
      ['write-back fails', () => volume.storage.writeBackFails()],
      ['its server process stops', () => sessions[0] !== undefined && this.strikes.pause(sessions[0].process, 3000)],
      ['its client stops', () => holder !== null && this.strikes.pause(holder.process, 3000)],
      ['its client is killed', () => holder !== null && random.chance(0.3) && this.strikes.kill(holder)],
      ['client and machine crash', () => holder !== null && random.chance(0.3) && this.crashBoth(server, holder)],
    ];
    const [name, happen] = random.pick(kinds);
    if (trace.isOn) trace.say(`-- amid a replay of ${volume.name}: ${name}`);
    happen();
  }

  private holderOf(volume: SimVolume): SimClient | null {
    const holder = volume.users.find(({ isHolder }) => isHolder);
    return this.targets.clients.find(({ users, process }) => holder !== undefined && users.includes(holder) && !process.isKilled) ?? null;
  }
}
