// Carries out what healing-plan.ts decides: announces that a lost replica will be rebuilt, and has it rebuilt on a spare like rsconfig mirror
// replace does. Also compares replicas in sync at the interval verify-every. Invariants: one replacement with its copy, and one comparison
// that nobody has asked for, is in progress at a time in this process. A server that comes back until the moment of its removal keeps its
// replica. A replacement that failed after the removal is gone on with until the mirror has its replica again, or rsiod ends. A former
// replica is never removed: rsconfig mirror list names it, and the command that removes it.

import { SERVER_METHODS } from '@rsio/api/rssrv/server-methods';
import { roomBytes } from '@rsio/api/views/capacity';
import type { VerificationView } from '@rsio/api/views/mirror-views';
import type { PoolView } from '@rsio/api/views/views';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { type ErrorCode, RsError, toRsError } from '@rsio/base/lib/errors';
import { misfit } from '@rsio/base/lib/shape';
import { printDuration, shownSize } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import type { MirrorView } from '@rsio/protocol/mirror/membership/interface';
import { HEALING_GAP_MS, HEALING_LOOK_MS, HEALING_RETRY_MS, POOL_LIST_MS } from '../limits.ts';
import type { MirrorVolume } from '../attached-mirror.ts';
import type { MirrorChanges } from '../commands/changes.ts';
import { type HealingFacts, type HealingReplica, nextHealing } from './healing-plan.ts';
import type { CommandPorts, MirrorNamespace } from '../commands/namespaces.ts';

export interface HealedMirror {
  readonly label: string;
  readonly volume: MirrorVolume;
  readonly view: MirrorView | null;
  readonly settings: { readonly replaceAfterMs: number | null; readonly spares: readonly string[]; readonly verifyEveryMs: number | null };
  readonly verification: VerificationView | null;
  readonly driver: { readonly mirror: string; readonly hasEnded: boolean };
  verify(isRepair: boolean, from: string | null): void;
}

export interface MirrorHealingPorts extends Pick<CommandPorts, 'namespaces' | 'newId'> {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn'>;
  readonly mirrors: { readonly all: readonly HealedMirror[] };
  readonly changes: Pick<MirrorChanges, 'replace' | 'add'>;
  /** Adds an event about a mirror. */
  note(label: string, from: string, to: string, sentence: string): void;
}

/** What is remembered of a mirror while it is attached. */
interface Memory {
  /** Key: identity of a replica. Value: monotonic time since which it is lost, and how often its server had connected by then. */
  readonly lost: Map<string, { readonly sinceMs: number; readonly proofs: number }>;
  /** Key: name of a spare. Value: monotonic time until which it is not asked again. */
  readonly refused: Map<string, number>;
  /** A replica that was removed, and that no spare has got yet; null: none. */
  owed: HealingReplica | null;
  /** Monotonic time before which nothing is tried again. */
  againMs: number;
  /** What was announced last; null: nothing. */
  announced: string | null;
  /** Monotonic time of the last comparison, or of the first look. */
  verifiedMs: number;
  /** The comparison that this object has begun is in progress. */
  isVerifying: boolean;
}

/** Errors for which a spare is passed over. Other errors are of the mirror, and the same spare is asked again. */
const OF_SPARE: readonly ErrorCode[] = ['E_SPACE', 'E_RIGHTS', 'E_EXISTS', 'E_POOL', 'E_VERSION', 'E_UNREACHABLE', 'E_RESET'];

export class MirrorHealing {
  private readonly ports: MirrorHealingPorts;
  private readonly memories = new Map<HealedMirror, Memory>();
  private lookedMs: number | null = null;
  private working: Promise<void> | null = null;
  private timer: Timer | null = null;
  private hasStopped = false;

  constructor(ports: MirrorHealingPorts) {
    this.ports = ports;
  }

  start(): void {
    if (this.hasStopped) return;
    this.look();
    this.timer = this.ports.clock.after(HEALING_LOOK_MS, () => this.start());
  }

  stop(): void {
    this.hasStopped = true;
    this.timer?.cancel();
  }

  /** Looks at each mirror once. */
  look(): void {
    const { mirrors, clock } = this.ports;
    for (const mirror of this.memories.keys()) if (!mirrors.all.includes(mirror)) this.memories.delete(mirror);
    const nowMs = clock.monotonicMs();
    // A process that stood still has not seen whether a server was there.
    if (this.lookedMs !== null && nowMs - this.lookedMs > HEALING_GAP_MS) for (const { lost } of this.memories.values()) lost.clear();
    this.lookedMs = nowMs;
    for (const mirror of mirrors.all) {
      const memory = this.memories.get(mirror) ?? newMemory(nowMs);
      this.memories.set(mirror, memory);
      this.heal(mirror, memory, nowMs);
      this.compare(mirror, memory, nowMs);
    }
  }

  private heal(mirror: HealedMirror, memory: Memory, nowMs: number): void {
    const [namespace] = this.ports.namespaces().filter(({ name }) => name === mirror.volume.namespace);
    const { view } = mirror;
    if (namespace === undefined || view === null || mirror.driver.hasEnded) return;
    for (const [name, untilMs] of memory.refused) if (untilMs <= nowMs) memory.refused.delete(name);
    const copied = this.ports.mirrors.all.find((one) => one !== mirror && isCopied(one))?.label ?? null;
    const facts = factsOf(mirror, view, namespace, memory, { nowMs, copied });
    const step = nextHealing(facts);
    if (step.kind === 'idle') {
      if (memory.announced !== null) this.say(mirror, 'announced', 'called off', 'The server is back, or the configuration has changed');
      memory.announced = null;
      return;
    }
    if (step.kind === 'waits') return this.announce(mirror, memory, facts, step);
    if (this.working !== null || nowMs < memory.againMs) return;
    this.working = this.replace(mirror, memory, namespace, step).finally(() => (this.working = null));
  }

  /** Says once for each reason what will be done and when, or what keeps it from being done. */
  private announce(
    mirror: HealedMirror,
    memory: Memory,
    { replaceAfterMs }: HealingFacts,
    { lost, spare, doubt, leftMs }: Extract<ReturnType<typeof nextHealing>, { kind: 'waits' }>,
  ): void {
    const isDue = leftMs === 0;
    const key = `${lost.identity} ${isDue ? doubt?.kind : 'in time'}`;
    if (memory.announced === key) return;
    const isFirst = memory.announced === null;
    memory.announced = key;
    const target = spare === null ? 'a spare' : `server ${spare}`;
    if (isDue)
      return this.say(
        mirror,
        'announced',
        'waiting',
        `Server ${lost.server} is lost, and its replica is not rebuilt yet: ${doubt?.sentence ?? '-'}`,
      );
    if (!isFirst) return;
    const after = printDuration(replaceAfterMs ?? 0);
    this.say(mirror, 'whole', 'announced', `Server ${lost.server} is lost: if it stays away for ${after}, ${target} gets its replica`);
  }

  private async replace(
    mirror: HealedMirror,
    memory: Memory,
    namespace: MirrorNamespace,
    { lost, spare }: { readonly lost: HealingReplica; readonly spare: string },
  ): Promise<void> {
    const { changes, newId, clock } = this.ports;
    const { volume } = mirror;
    this.say(mirror, 'announced', 'rebuilding', `Server ${lost.server} stayed away: server ${spare} gets its replica`);
    const order = { ...volume, pool: null, request: newId() };
    try {
      await checkRoom(namespace, spare, mirror.view?.sizeBytes ?? 0);
      const { left } = await this.given(changes, order, memory, { lost, spare, stillLost: () => checkLost(mirror, namespace, lost) });
      memory.lost.delete(lost.identity);
      memory.owed = null;
      memory.announced = null;
      const remains = left.length === 0 ? '' : `; left behind: ${left.join('; ')}`;
      this.say(mirror, 'rebuilding', 'replaced', `Server ${spare} has the place of ${lost.server}, and gets the data now${remains}`);
    } catch (thrown) {
      const { code, message } = toRsError(thrown);
      const nowMs = clock.monotonicMs();
      if (OF_SPARE.includes(code)) memory.refused.set(spare, nowMs + HEALING_RETRY_MS);
      else memory.againMs = nowMs + HEALING_RETRY_MS;
      // What failed after the removal of the old replica has left the mirror with one replica less.
      if (mirror.view?.replicas.some(({ identity }) => identity === lost.identity) !== true) memory.owed = lost;
      const lacks =
        memory.owed === null
          ? ''
          : `; the mirror has one replica less until a spare has it, or rsconfig mirror add ${mirror.label} --server NAME adds one`;
      this.say(mirror, 'rebuilding', 'failed', `Server ${spare} did not get the replica of ${lost.server}: ${message}${lacks}`);
    }
  }

  private async given(
    changes: MirrorHealingPorts['changes'],
    order: MirrorVolume & { readonly pool: null; readonly request: string },
    { owed }: Memory,
    { lost, spare, stillLost }: { readonly lost: HealingReplica; readonly spare: string; readonly stillLost: () => void },
  ): ReturnType<MirrorChanges['add']> {
    try {
      return await changes.replace({ ...order, server: lost.server, with: spare }, owed === null ? stillLost : () => undefined);
    } catch (thrown) {
      // The old server has neither a replica nor a vote any more.
      if (owed === null || toRsError(thrown).code !== 'E_USAGE') throw thrown;
      return await changes.add({ ...order, server: spare });
    }
  }

  private compare(mirror: HealedMirror, memory: Memory, nowMs: number): void {
    const { verifyEveryMs } = mirror.settings;
    const { verification } = mirror;
    if (verification?.isRunning === true) return;
    if (memory.isVerifying) {
      memory.isVerifying = false;
      memory.verifiedMs = nowMs;
      if (verification !== null) this.compared(mirror, verification);
    }
    const isBusy = [...this.memories.values()].some(({ isVerifying }) => isVerifying);
    if (verifyEveryMs === null || isBusy || this.working !== null || nowMs - memory.verifiedMs < verifyEveryMs) return;
    // A comparison needs two replicas in sync with sessions, and is tried again at the next look without them.
    const inSync = mirror.view?.replicas.filter(({ role, session }) => role === 'member' && session === 'open') ?? [];
    if (inSync.length < 2 || mirror.view?.isAllInSync !== true) return;
    try {
      mirror.verify(false, null);
      memory.isVerifying = true;
    } catch (thrown) {
      memory.verifiedMs = nowMs;
      this.ports.log.warn(`The replicas of ${mirror.label} are not compared: ${toRsError(thrown).message}`);
    }
  }

  private compared(mirror: HealedMirror, { stopped, differentBytes, unreadBytes, comparedBytes }: VerificationView): void {
    const { label } = mirror;
    if (differentBytes > 0)
      return this.say(
        mirror,
        'compared',
        'different',
        `${shownSize(differentBytes)} differ between replicas: rsconfig mirror verify ${label} shows where`,
      );
    if (stopped !== null || unreadBytes > 0)
      return this.say(
        mirror,
        'compared',
        'incomplete',
        `Not everything was compared: ${stopped ?? `${shownSize(unreadBytes)} could not be read`}`,
      );
    this.ports.log.info(`The replicas of ${label} are equal (${shownSize(comparedBytes)} compared)`);
  }

  private say({ label }: HealedMirror, from: string, to: string, sentence: string): void {
    this.ports.log.warn(`Mirror ${label}: ${sentence}`);
    this.ports.note(label, from, to, sentence);
  }
}

/** True if a replica of the mirror lacks writes, and is there to get them. */
function isCopied({ view }: HealedMirror): boolean {
  return view?.replicas.some(({ role, session }) => role !== 'member' && role !== 'leaving' && session === 'open') === true;
}

function newMemory(nowMs: number): Memory {
  return { lost: new Map(), refused: new Map(), owed: null, againMs: 0, announced: null, verifiedMs: nowMs, isVerifying: false };
}

/** Also notes since when replicas are lost. */
function factsOf(
  mirror: HealedMirror,
  view: MirrorView,
  namespace: MirrorNamespace,
  memory: Memory,
  { nowMs, copied }: Pick<HealingFacts, 'nowMs' | 'copied'>,
): HealingFacts {
  const servers = namespace.servers.map(({ name, serverid, isConnected, trouble }) => {
    return { name, serverid, isConnected, canBeAsked: trouble === null };
  });
  const replicas = view.replicas.map(({ identity, server: serverid, role, session }): HealingReplica => {
    const server = servers.find((one) => one.serverid === serverid);
    const isOpen = session === 'open' && server?.isConnected === true;
    const proofs = namespace.servers.find((one) => one.serverid === serverid)?.proofs ?? 0;
    // A server that was back between two looks begins anew, too.
    if (isOpen || server?.isConnected === true) memory.lost.delete(identity);
    else if (memory.lost.get(identity)?.proofs !== proofs) memory.lost.set(identity, { sinceMs: nowMs, proofs });
    const name = server?.name ?? `server ${serverid}`;
    return {
      identity,
      serverid,
      server: name,
      isInSync: role === 'member',
      isOpen,
      lostSinceMs: memory.lost.get(identity)?.sinceMs ?? null,
    };
  });
  for (const identity of memory.lost.keys()) if (!view.replicas.some((one) => one.identity === identity)) memory.lost.delete(identity);
  if (memory.owed !== null) replicas.push({ ...memory.owed, lostSinceMs: 0 });
  const voters = [...new Set(view.voterSets.flat().map(({ serverid }) => serverid))];
  const { replaceAfterMs, spares } = mirror.settings;
  return {
    nowMs,
    replaceAfterMs,
    spares,
    isServing: view.isServing,
    isPending: view.isPending || view.voterSets.length > 1,
    replicas,
    voters,
    servers,
    unreached: namespace.unreached.length,
    copied,
    refused: new Set(memory.refused.keys()),
  };
}

/** Throws E_BUSY if the server of the replica is back, so that its replica is not removed. */
function checkLost(mirror: HealedMirror, namespace: MirrorNamespace, { identity, serverid, server: name }: HealingReplica): void {
  const replica = mirror.view?.replicas.find((one) => one.identity === identity);
  const server = namespace.servers.find((one) => one.serverid === serverid);
  const isBack = replica === undefined || replica.session === 'open' || server?.isConnected === true;
  if (isBack) throw new RsError('E_BUSY', `Server ${name} is back, and keeps its replica`);
}

/** Throws E_SPACE if no pool of the spare has room for the whole replica. */
async function checkRoom({ servers }: MirrorNamespace, name: string, sizeBytes: number): Promise<void> {
  const spare = servers.find((one) => one.name === name);
  const { result } = SERVER_METHODS['pool-list'];
  const answer = await spare?.callAdmin('pool-list', {}, POOL_LIST_MS);
  if (misfit(result, answer) !== null) throw new RsError('E_VERSION', `Server ${name} does not tell of its pools: update it`);
  const { pools } = answer as { readonly pools: readonly PoolView[] };
  const most = Math.max(0, ...pools.filter(({ state }) => state === 'ready').map(roomBytes));
  if (most < sizeBytes)
    throw new RsError('E_SPACE', `No pool of server ${name} has room for ${shownSize(sizeBytes)}: the most is ${shownSize(most)}`);
}
