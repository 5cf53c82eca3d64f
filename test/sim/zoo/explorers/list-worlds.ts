// The announcements of changed volumes to clients (A6): volumes are created, renamed, offered to other clients and removed, and clients read
// their lists when they are told to. Invariant: when the server is quiet, each client has the list of the volumes that it may attach; a
// client is told only after a change of a volume that it could attach before the change or after it.

import type { RssrvConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { ConfigInForce, type ConfigInForceParts } from '@rsio/rssrv/server/config-in-force';
import { CurrentConfig } from '@rsio/rssrv/server/current-config';
import { announceList, listFor, offeredTo } from '@rsio/rssrv/server/offered-volumes';
import type { ServedSession } from '@rsio/rssrv/server/served-session';
import { ListAnnouncements } from '@rsio/rssrv/server/workers/list-announcements';
import type { ServedVolume } from '@rsio/rssrv/storage/io/served-volume';
import { volumeConfig } from '@rsio/rssrv/testing/volume-config';

const NODES = ['big-1', 'big-2', 'venus'];
const [STEPS, VOLUMES_MAX, STEP_MS, QUIET_MS] = [60, 6, 100, 10_000];
/** The server seems to have so many volumes that it holds announcements back. */
const SEEMING_VOLUMES = 5_000;

class ListWorld {
  fault: string | null = null;
  private readonly random: SeededRandom;
  private readonly clock = new FakeClock();
  private readonly lists = new ListAnnouncements({
    clock: this.clock,
    volumes: () => SEEMING_VOLUMES,
    announce: (grown, seenBy, generation) => {
      announceList(this.sessions, { interfaces: [], generation, grown }, seenBy, []);
      this.concerned.clear();
    },
  });
  private readonly current = new CurrentConfig({ volumes: [] } as unknown as RssrvConfig, this.clock);
  private readonly inForce: ConfigInForce;
  private readonly sessions: ServedSession[];
  /** What each client has read last. */
  private readonly views = new Map<string, string>();
  /** The clients that could attach a volume that has changed since the last announcement. */
  private readonly concerned = new Set<string>();
  private made = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    const nothing = (): undefined => undefined;
    const parts: unknown = {
      clock: this.clock,
      current: this.current,
      volumes: {
        standing: () => ({ id: null, sizeBytes: 512 }),
        prepare: async () => ({ grown: [], isListChanged: true, cut: [], commit: nothing, undo: nothing, finish: nothing }),
      },
      shortage: {},
      bandwidth: { refresh: nothing },
      incarnations: { start: nothing },
      lists: this.lists,
    };
    this.inForce = new ConfigInForce(parts as ConfigInForceParts);
    this.sessions = NODES.map((node) => {
      const workerSession = { send: () => this.told(node) };
      return { client: { node }, generation: 1, workerSession } as unknown as ServedSession;
    });
    for (const node of NODES) this.views.set(node, this.listOf(node));
  }

  async run(): Promise<string | null> {
    for (let step = 0; step < STEPS && this.fault === null; step++) {
      await this.change();
      this.clock.advance(this.random.int(0, STEP_MS));
      if (this.random.chance(0.1)) this.judgeQuiet();
    }
    this.judgeQuiet();
    return this.fault;
  }

  private get volumes(): readonly ServerVolumeConfig[] {
    return this.current.config.volumes;
  }

  /** The names in the list of a client. */
  private listOf(node: string): string {
    const session = this.sessions.find(({ client }) => client.node === node)!;
    const facts = () => ({ holders: [], waitsForSpace: false });
    const { volumes } = listFor(session, [], offeredTo(node, this.volumes as unknown as ServedVolume[], []), facts);
    return volumes.map(({ name }) => name).join();
  }

  private told(node: string): void {
    if (!this.concerned.has(node)) this.fault ??= `A6: ${node} is told of a change of volumes that it may not attach`;
    this.views.set(node, this.listOf(node));
  }

  private async change(): Promise<void> {
    const { random, volumes } = this;
    const clients = random.pick([null, ['big-1'], ['big-2', 'venus'], ['venus']]);
    const name = `v${this.made++}`;
    const was = volumes.length < VOLUMES_MAX && random.chance(0.5) ? null : (volumes[random.int(0, volumes.length - 1)] ?? null);
    const fresh = volumeConfig({
      name,
      id: name,
      clients,
      sizeBytes: 512,
      pool: { name: 'fast', stamp: null, ids: ['p'], isThick: false },
    });
    const changed = was === null ? fresh : random.pick([{ ...was, name }, { ...was, clients }, null]);
    for (const one of [was, changed]) for (const node of one === null ? [] : (one.clients ?? NODES)) this.concerned.add(node);
    await this.inForce.applyVolume(was, changed);
  }

  private judgeQuiet(): void {
    this.clock.advance(QUIET_MS);
    for (const node of NODES) {
      const [seen, now] = [this.views.get(node), this.listOf(node)];
      if (seen !== now) this.fault ??= `A6: ${node} has the list ${seen}, but may attach ${now}`;
    }
  }
}

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export function listWorld(seed: number): Promise<string | null> {
  return new ListWorld(seed).run();
}
