// A volume that moves between two pools under verified writes, for drills. This file makes the moves, and finds the pool that has the file
// of the volume, even while no server runs. The drill compares the content of the volume. Invariant: a move that the server has accepted
// ends in the new pool, unless a disk was lost under a running server.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { callServer } from '@rsio/api/rssrv/call-server';
import { waitFor } from '../programs/wait-for.ts';
import { type Change, NOTHING } from './snapshot-changes.ts';

export const MOVED = 'nomad';
const LOOK_MS = 5;
const SETTLED_MS = 60_000;

/** The job of a move has not ended well. */
export class MoveFailed extends Error {}

interface Job {
  readonly id: string;
  readonly state: string;
  readonly reason: string | null;
}

const isOpen = ({ state }: Job): boolean => state === 'waiting' || state === 'running' || state === 'cancelling';

export class MovedVolume {
  private readonly socket: string;
  /** For each pool: its directory. */
  private readonly pools: ReadonlyMap<string, string>;
  private readonly id: string;
  private accepted: string | null = null;

  constructor(socket: string, pools: ReadonlyMap<string, string>, id: string) {
    [this.socket, this.pools, this.id] = [socket, pools, id];
  }

  /** Name of the pool that has the volume. If both pools have the volume, the name of the pool to which it has moved. */
  get place(): string {
    const having = [...this.pools].filter(([, directory]) => existsSync(path.join(directory, 'volumes', this.id, 'volume.json')));
    const last = having.find(([, directory]) => !('movedTo' in this.manifestIn(directory))) ?? having[0];
    if (last === undefined) throw new Error(`No pool has volume ${MOVED}`);
    return last[0];
  }

  get file(): string {
    return path.join(this.pools.get(this.place)!, 'volumes', this.id, 'data');
  }

  /**
   * Returns a change that moves the volume to the other pool. The change counts as answered when the job of the move has ended. `ask`
   * throws MoveFailed.
   */
  move(): Change {
    const { place } = this;
    const to = [...this.pools.keys()].find((name) => name !== place)!;
    const request = crypto.randomUUID();
    return {
      ...NOTHING,
      kind: 'move',
      text: `move ${MOVED} to ${to}`,
      movesTo: to,
      ask: async () => {
        const { job } = await callServer(this.socket, 'volume-move', {
          name: MOVED,
          universe: 0,
          from: null,
          pool: to,
          limitBytes: null,
          request,
        });
        this.accepted = job.id;
        for (let now: Job = job; ; now = await this.jobOf(job.id)) {
          if (now.state === 'done') return now;
          if (!isOpen(now)) {
            // The failure needs no further report, because the caller of the move gets the failure.
            this.accepted = null;
            throw new MoveFailed(`${now.state}: ${now.reason}`);
          }
          await sleep(LOOK_MS);
        }
      },
    };
  }

  /** Waits until no job is open. Returns a problem if the server accepted a move that was not made. */
  async settled(): Promise<string[]> {
    const jobs = async (): Promise<readonly Job[]> => (await callServer(this.socket, 'job-list', { id: null })).jobs;
    let last: readonly Job[] = [];
    const isOver = async (): Promise<boolean> => {
      last = await jobs();
      return !last.some(isOpen);
    };
    await waitFor(isOver, SETTLED_MS, 'The jobs have ended').catch((error: unknown) => {
      throw new Error(`${(error as Error).message}: ${JSON.stringify(last)}`);
    });
    const { accepted } = this;
    this.accepted = null;
    if (accepted === null) return [];
    const job = last.find(({ id }) => id === accepted);
    return job?.state === 'done' ? [] : [`Job ${accepted} was accepted, and is ${job?.state ?? 'forgotten'}: ${job?.reason ?? '-'}`];
  }

  /** Returns a problem for each file that a move has left behind in the pools. Must be called only while no job is open. */
  leftovers(): string[] {
    return [...this.pools.values()]
      .map((directory) => path.join(directory, 'moving'))
      .filter((folder) => existsSync(folder))
      .flatMap((folder) => readdirSync(folder).map((name) => `${path.join(folder, name)} is left of a move`));
  }

  private async jobOf(id: string): Promise<Job> {
    const { jobs } = await callServer(this.socket, 'job-list', { id });
    return jobs[0]!;
  }

  private manifestIn(directory: string): object {
    return JSON.parse(readFileSync(path.join(directory, 'volumes', this.id, 'volume.json'), 'utf8')) as object;
  }
}
