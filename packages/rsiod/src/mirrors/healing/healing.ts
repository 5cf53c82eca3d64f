// Carries out what healing-plan.ts decides: announces that a lost replica will be rebuilt, has it rebuilt on a spare like rsconfig mirror
// replace does, and removes the former replica after its server has been back for HEALED_KEEP_MS. Also compares replicas in sync at the
// interval verify-every. Invariants: one replacement with its copy, and one comparison that nobody has asked for, is in progress at a time in this process.
// A failure is an event, and is tried again after HEALING_RETRY_MS, with the next spare. What rsiod has replaced is remembered only until it
// ends: rsconfig mirror list names a former replica that is left after that.

import type { VerificationView } from '@rsio/api/views/mirror-views';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { printDuration, shownSize } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import type { MirrorView } from '@rsio/protocol/mirror/membership/interface';
import { HEALED_KEEP_MS, HEALED_MAX, HEALING_GAP_MS, HEALING_LOOK_MS, HEALING_RETRY_MS } from '../limits.ts';
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
  readonly changes: Pick<MirrorChanges, 'replace' | 'detach'>;
  /** Adds an event about a mirror. */
  note(label: string, from: string, to: string, sentence: string): void;
}

/** What is remembered of a mirror while it is attached. */
interface Memory {
  /** Key: identity of a replica. Value: monotonic time since which it is lost. */
  readonly lost: Map<string, number>;
  /** Key: name of a spare. Value: monotonic time until which it is not asked again. */
  readonly refused: Map<string, number>;
  /** What was announced last; null: nothing. */
  announced: string | null;
  /** Monotonic time of the last comparison, or of the first look. */
  verifiedMs: number;
  /** The comparison that this object has begun is in progress. */
  isVerifying: boolean;
}

/** A replica that was replaced while its server was away. */
interface Former {
  readonly mirror: HealedMirror;
  readonly server: string;
  /** Monotonic time since which its server is back, and the time at which its removal is tried again. */
  backMs: number | null;
  againMs: number;
}

export class MirrorHealing {
  private readonly ports: MirrorHealingPorts;
  private readonly memories = new Map<HealedMirror, Memory>();
  private lookedMs: number | null = null;
  private formers: Former[] = [];
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
    this.formers = this.formers.filter(({ mirror }) => mirrors.all.includes(mirror));
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
    for (const former of this.formers) this.removeFormer(former, nowMs);
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
    if (this.working === null) this.working = this.replace(mirror, memory, step).finally(() => (this.working = null));
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
    { lost, spare }: { readonly lost: HealingReplica; readonly spare: string },
  ): Promise<void> {
    const { changes, newId, clock } = this.ports;
    const { volume } = mirror;
    this.say(mirror, 'announced', 'rebuilding', `Server ${lost.server} stayed away: server ${spare} gets its replica`);
    try {
      const { left } = await changes.replace({ ...volume, server: lost.server, with: spare, pool: null, request: newId() });
      memory.lost.delete(lost.identity);
      memory.announced = null;
      this.formers = [...this.formers, { mirror, server: lost.server, backMs: null, againMs: 0 }].slice(-HEALED_MAX);
      const remains = left.length === 0 ? '' : `; left behind: ${left.join('; ')}`;
      this.say(mirror, 'rebuilding', 'replaced', `Server ${spare} has the place of ${lost.server}, and gets the data now${remains}`);
    } catch (thrown) {
      memory.refused.set(spare, clock.monotonicMs() + HEALING_RETRY_MS);
      const again = `it is tried again after ${printDuration(HEALING_RETRY_MS)}, and with the next spare before`;
      this.say(
        mirror,
        'rebuilding',
        'failed',
        `Server ${spare} did not get the replica of ${lost.server}: ${toRsError(thrown).message}; ${again}`,
      );
    }
  }

  /** Removes the former replica of a server that has been back for HEALED_KEEP_MS without a break. */
  private removeFormer(former: Former, nowMs: number): void {
    const { mirror, server } = former;
    const servers = this.ports.namespaces().flatMap((one) => (one.name === mirror.volume.namespace ? one.servers : []));
    if (servers.find(({ name }) => name === server)?.trouble !== null) former.backMs = null;
    else former.backMs ??= nowMs;
    if (former.backMs === null || nowMs - former.backMs < HEALED_KEEP_MS || nowMs < former.againMs || this.working !== null) return;
    this.working = this.detachFormer(former).finally(() => (this.working = null));
  }

  private async detachFormer(former: Former): Promise<void> {
    const { mirror, server } = former;
    try {
      await this.ports.changes.detach({ ...mirror.volume, server, volume: true });
      this.formers = this.formers.filter((one) => one !== former);
      this.say(mirror, 'replaced', 'whole', `The former replica on server ${server} is removed; that server can restore it for some time`);
    } catch (thrown) {
      former.againMs = this.ports.clock.monotonicMs() + HEALING_RETRY_MS;
      const { code, message } = toRsError(thrown);
      // The server has nothing of the mirror any more, or has a replica again.
      if (code === 'E_USAGE' || code === 'E_VOLUME') this.formers = this.formers.filter((one) => one !== former);
      else this.ports.log.warn(`The former replica of ${mirror.label} on server ${server} was not removed: ${message}`);
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
  return { lost: new Map(), refused: new Map(), announced: null, verifiedMs: nowMs, isVerifying: false };
}

/** Also notes since when replicas are lost. */
function factsOf(
  mirror: HealedMirror,
  view: MirrorView,
  namespace: MirrorNamespace,
  memory: Memory,
  { nowMs, copied }: Pick<HealingFacts, 'nowMs' | 'copied'>,
): HealingFacts {
  const servers = namespace.servers.map(({ name, serverid, trouble }) => ({ name, serverid, isConnected: trouble === null }));
  const replicas = view.replicas.map(({ identity, server: serverid, role, session }): HealingReplica => {
    const server = servers.find((one) => one.serverid === serverid);
    const isOpen = session === 'open';
    if (isOpen || server?.isConnected === true) memory.lost.delete(identity);
    else if (!memory.lost.has(identity)) memory.lost.set(identity, nowMs);
    const name = server?.name ?? `server ${serverid}`;
    return { identity, serverid, server: name, isInSync: role === 'member', isOpen, lostSinceMs: memory.lost.get(identity) ?? null };
  });
  for (const identity of memory.lost.keys()) if (!view.replicas.some((one) => one.identity === identity)) memory.lost.delete(identity);
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
