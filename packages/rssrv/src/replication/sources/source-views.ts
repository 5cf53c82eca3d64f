// What this server shows of the replications of which it is the source. The servers that copy report their state with each poll. Invariants:
// reports are kept in memory, at most one for each replication that exists. A replication that nobody copies is shown as absent, and after a
// start of this server only once its silence has lasted REPLICATION_SILENT_MS.

import type { ReplicationReport } from '@rsio/api/rssrv/replication-methods';
import type { ReplicationView } from '@rsio/api/views/views';
import type { Clock } from '@rsio/base/lib/clock';
import { printDuration } from '@rsio/base/lib/units';
import { RateMeter } from '@rsio/base/structures/rate-meter';
import { type Found, volumeText } from '../../pools/catalogue.ts';
import type { Replication } from '../../pools/source-marks.ts';
import { REPLICATION_SILENT_MS, REPORT_TEXT_MAX_CHARS } from '../limits.ts';
import { MomentAges } from '../../snapshots/moment-ages.ts';
import type { SourceProblem } from './source-orders.ts';

/** What is known of the client of a replication. */
interface Heard {
  /** Monotonic time of the last poll; null if there was none since `sinceMs`, when this server began to wait for polls. */
  pollMs: number | null;
  readonly sinceMs: number;
  report: ReplicationReport | null;
  readonly meter: RateMeter;
}

export class SourceReports {
  private readonly clock: Pick<Clock, 'monotonicMs' | 'wallMs'>;
  private readonly ages: MomentAges;
  private readonly heard = new Map<string, Heard>();

  constructor(clock: Pick<Clock, 'monotonicMs' | 'wallMs'>) {
    this.clock = clock;
    this.ages = new MomentAges(clock);
  }

  /** Forgets replications that have ended, and begins to wait for the clients of new ones. */
  follow(ids: ReadonlySet<string>): void {
    this.ages.follow(ids);
    for (const id of this.heard.keys()) if (!ids.has(id)) this.heard.delete(id);
    const sinceMs = this.clock.monotonicMs();
    for (const id of ids) if (!this.heard.has(id)) this.heard.set(id, { pollMs: null, sinceMs, report: null, meter: new RateMeter() });
  }

  /** Notes a poll for these replications. A report about any other replication is ignored. */
  polled(ids: readonly string[], reports: readonly ReplicationReport[]): void {
    for (const id of ids) {
      const heard = this.heard.get(id);
      if (heard === undefined) continue;
      heard.pollMs = this.clock.monotonicMs();
      const report = reports.find(({ replication }) => replication === id);
      if (report === undefined) continue;
      heard.report = { ...report, text: report.text.slice(0, REPORT_TEXT_MAX_CHARS) };
      heard.meter.add(heard.pollMs, report.doneBytes);
    }
  }

  /** `problem`: what prevents moments; null: nothing. */
  view({ id, order, members }: Replication, problem: SourceProblem | null): ReplicationView {
    const { to, pool, everyMs, keep, limitBytes, confirmed } = order;
    const { report = null, meter } = this.heard.get(id) ?? {};
    const isCopying = report?.state === 'copying' && meter !== undefined;
    const momentMs = confirmed?.momentMs ?? null;
    return {
      id,
      direction: 'out',
      peer: to,
      pool,
      everyMs,
      keep,
      limitBytes,
      momentMs,
      volumes: members.map(({ manifest: { name, universe } }) => ({ name, universe })),
      ...this.stateOf(id, to, members, problem?.text ?? interrupted(members)),
      ageMs: confirmed === null ? null : this.ages.ageMs(id, confirmed.group, confirmed.momentMs),
      doneBytes: report?.doneBytes ?? 0,
      totalBytes: report?.totalBytes ?? 0,
      bytesPerSecond: isCopying ? meter.bytesPerSecond(this.clock.monotonicMs(), report.doneBytes) : 0,
      nextMs: momentMs === null ? null : momentMs + everyMs,
    };
  }

  private stateOf(id: string, to: string, members: readonly Found[], problem: string | null): Pick<ReplicationView, 'state' | 'text'> {
    if (problem !== null) return { state: 'failing', text: problem };
    const nowMs = this.clock.monotonicMs();
    const { pollMs, sinceMs, report } = this.heard.get(id) ?? { pollMs: null, sinceMs: nowMs, report: null };
    const silentMs = nowMs - (pollMs ?? sinceMs);
    if (silentMs >= REPLICATION_SILENT_MS) {
      const lasts = printDuration(Math.floor(silentMs / 1_000) * 1_000);
      const remedy = `check that rssrv runs on ${to}, and that its rssrvcfg has a section [peer] of this server`;
      return { state: 'absent', text: `Client ${to} has not asked for its orders for ${lasts}: ${remedy}` };
    }
    const { state, text }: Pick<ReplicationView, 'state' | 'text'> = report ?? {
      state: 'waiting',
      text: `waits for the first report of ${to}`,
    };
    const isClosed = members.some(({ manifest }) => manifest.replication?.handOver !== undefined);
    if (state === 'promoted') {
      const names = members.map(({ manifest }) => volumeText(manifest)).join(' ');
      const what = isClosed ? 'and this server is closed for a hand-over' : 'and this server is the source as well';
      const end = `rsadm volume replicate ${names} --end${isClosed ? ' --force' : ''}`;
      const own = `to keep the content of this server, ${end}, replicate it again, and demote the volumes of ${to}`;
      const theirs = `to keep that of ${to}, volume replicate there, then rsadm volume demote ${names} --for PEER here`;
      return { state: isClosed ? 'closed' : 'split', text: `${to} has promoted its followers, ${what}: ${own}; ${theirs}` };
    }
    return { state: isClosed && state === 'waiting' ? 'handing-over' : state, text };
  }
}

/** Returns what to do if the volumes are closed for a hand-over that does not go on by itself, because its last moment is not recorded. */
function interrupted(members: readonly Found[]): string | null {
  const server = members.flatMap(({ manifest }) => manifest.replication?.handOver ?? []).find(({ group }) => group === null)?.server;
  const isClosing = members.every(({ manifest }) => (manifest.replication?.handOver?.group ?? null) === null);
  if (server === undefined || !isClosing) return null;
  const names = members.map(({ manifest }) => volumeText(manifest)).join(' ');
  const ways = `volume reverse --cancel at ${server} gives it up, or keep the volumes here (rsadm volume replicate ${names} --end --force)`;
  return `Volumes are closed for clients, because they are being handed over to server ${server}: if this lasts, ${ways}`;
}
