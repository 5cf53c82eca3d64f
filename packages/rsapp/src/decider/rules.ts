// The single questions that decisions consist of. Pure; decide.ts asks them. Invariant: no question changes anything. The tests replace one
// answer at a time by a wrong one, and must notice.

import { FAIL_BACK_MS, FAILED_AGAIN_MS, PREFERRED_DELAYS, PREFERRED_MS } from '../limits.ts';
import type { AppRules, Facts, Memory, Seen } from './facts.ts';
import { isRecent, type Note } from './note.ts';

export const RULES = {
  /** Enough servers have answered. What a minority says may be of the past: another node may have the application by now. */
  isKnown: (seen: Seen | null): seen is Seen => seen?.isSure === true,

  isWanted: (note: Note): boolean => note.enabled && note.started,

  /** The servers agree that a node is gone. */
  isSilent: ({ silentMs }: Pick<AppRules, 'silentMs'>, seen: Seen, node: string): boolean => (seen.silentMs[node] ?? 0) >= silentMs,

  /** The application may be taken: nobody has it, this node has it already, or its holder is silent. */
  isOpen: (app: AppRules, { me }: Facts, seen: Seen): boolean =>
    seen.holder === null || seen.holder === me || RULES.isSilent(app, seen, seen.holder),

  isExhausted: ({ restarts }: Pick<AppRules, 'restarts'>, note: Note, node: string, wallMs: number): boolean => {
    const own = note.failures.filter((one) => one.node === node && one.passed !== true && isRecent(one.atMs, wallMs));
    return own.length > restarts || own.some(({ final }) => final);
  },

  /** Time (wall ms) since which the node comes last, because it has failed or has not taken the application; null if it does not. */
  barredMs: (app: Pick<AppRules, 'restarts'>, note: Note, node: string, wallMs: number): number | null => {
    const own = note.failures.filter((one) => one.node === node && isRecent(one.atMs, wallMs));
    return RULES.isExhausted(app, note, node, wallMs) || own.some(({ passed }) => passed) ? (own.at(-1)?.atMs ?? null) : null;
  },

  /** Time (wall ms) before which a node where the service has failed does not try again; null if the node may try now. */
  restsUntilMs: (app: Pick<AppRules, 'restarts'>, note: Note, node: string, wallMs: number): number | null => {
    if (!RULES.isExhausted(app, note, node, wallMs)) return null;
    const atMs = note.failures.findLast((one) => one.node === node && one.passed !== true)?.atMs ?? 0;
    return Math.abs(wallMs - atMs) < FAILED_AGAIN_MS ? atMs + FAILED_AGAIN_MS : null;
  },

  /** A move names the node. The other nodes must not have their turn earlier than `delayMs` says. */
  isPreferred: (
    { startDelayMs }: Pick<AppRules, 'startDelayMs'>,
    { preferred, preferredMs }: Note,
    node: string,
    wallMs: number,
  ): boolean => preferred === node && Math.abs(wallMs - preferredMs) < Math.max(PREFERRED_MS, PREFERRED_DELAYS * startDelayMs),

  /**
   * The nodes in the order of their turns: first the node that a move names, then the others as configured, and last the barred nodes
   * (`barredMs`), the longest barred first. A bar therefore counts only while another node takes the application.
   */
  candidates: (app: AppRules, note: Note, wallMs: number): string[] => {
    const first = app.nodes.filter((node) => RULES.isPreferred(app, note, node, wallMs) && !RULES.isExhausted(app, note, node, wallMs));
    const sinceMs = (node: string): number => RULES.barredMs(app, note, node, wallMs) ?? -Number.MAX_VALUE;
    return [...new Set([...first, ...app.nodes.toSorted((one, other) => sinceMs(one) - sinceMs(other))])];
  },

  /**
   * How long this node waits for the nodes before it. The wait for the node that a move names is twice as long, because that node may still
   * be busy with its last orders. At the start of the cluster, a node that is silent may only be booting.
   */
  delayMs: (app: AppRules, { me, nowMs, wallMs, isOrdered }: Facts, memory: Memory, seen: Seen, note: Note): number | null => {
    if (seen.holder === me || isOrdered) return 0;
    const isYoung = nowMs - memory.beganMs < app.startDelayMs;
    const others = RULES.candidates(app, note, wallMs).filter(
      (node) => node === me || (node !== seen.holder && (isYoung || !RULES.isSilent(app, seen, node))),
    );
    const rank = others.indexOf(me);
    if (rank < 0) return null;
    const waitsForMove = others[0] !== me && RULES.isPreferred(app, note, others[0] ?? '', wallMs);
    return (waitsForMove ? rank + 1 : rank) * app.startDelayMs;
  },

  /** The node to which this one gives the application; null if none is known to be able to take it. */
  next: (app: AppRules, { me, wallMs }: Pick<Facts, 'me' | 'wallMs'>, seen: Seen, note: Note): string | null =>
    RULES.candidates(app, note, wallMs).find(
      (node) => node !== me && !RULES.isSilent(app, seen, node) && !RULES.isExhausted(app, note, node, wallMs),
    ) ?? null,

  isIsolated: (app: AppRules, { nowMs }: Facts, memory: Memory): boolean =>
    app.stopsInIsolation && memory.isolatedMs !== null && nowMs - memory.isolatedMs >= app.silentMs,

  failsBack: (app: AppRules, { me, nowMs, wallMs }: Facts, memory: Memory, note: Note): boolean =>
    app.failBack &&
    app.nodes[0] !== me &&
    memory.firstNodeMs !== null &&
    nowMs - memory.firstNodeMs >= FAIL_BACK_MS &&
    RULES.barredMs(app, note, app.nodes[0] ?? '', wallMs) === null,

  /**
   * The note that the application has or has lost, as far as this node knows. While this node holds the volume, the newest one of a line
   * counts; else, and of two lines, the one that the servers have. A new volume begins without a note.
   */
  known: (before: Memory['known'], { seen, local }: Facts): Memory['known'] => {
    if (!RULES.isKnown(seen) || seen.note === 'unreadable') return before;
    const { volumeId, note } = seen;
    const kept = before?.volumeId === volumeId ? before : null;
    if (note === null) return kept;
    const isOlder = kept !== null && local.holds === true && kept.note.line === note.line && kept.note.changes > note.changes;
    return isOlder ? kept : { volumeId, note };
  },

  /** The remains of an application that this node does not hold are removed. Before the first start, nothing here is rsapp's. */
  mustClean: ({ local, seen }: Facts, { known }: Memory): boolean =>
    local.holds === false && local.isUp && !(RULES.isKnown(seen) && seen.note === null && known === null),
};
