// The single questions that decisions consist of. Pure; decide.ts asks them. Invariant: no question changes anything. The tests replace one
// answer at a time by a wrong one, and must notice.

import { FAIL_BACK_MS, PREFERRED_DELAYS, PREFERRED_MS } from '../limits.ts';
import type { AppRules, Facts, Memory, Seen } from './facts.ts';
import { isRecent, type Note } from './note.ts';

export const RULES = {
  isWanted: (note: Note): boolean => note.enabled && note.started,

  /** The servers agree that a node is gone. */
  isSilent: ({ silentMs }: Pick<AppRules, 'silentMs'>, seen: Seen, node: string): boolean => (seen.silentMs[node] ?? 0) >= silentMs,

  /** The application may be taken: nobody has it, this node has it already, or its holder is silent. */
  isOpen: (app: AppRules, { me }: Facts, seen: Seen): boolean =>
    seen.holder === null || seen.holder === me || RULES.isSilent(app, seen, seen.holder),

  isExhausted: ({ restarts }: Pick<AppRules, 'restarts'>, note: Note, node: string, wallMs: number): boolean => {
    const own = note.failures.filter((one) => one.node === node && isRecent(one.atMs, wallMs));
    return own.length > restarts || own.some(({ final }) => final);
  },

  /** A move names the node. The other nodes must not have their turn earlier than `delayMs` says. */
  isPreferred: (
    { startDelayMs }: Pick<AppRules, 'startDelayMs'>,
    { preferred, preferredMs }: Note,
    node: string,
    wallMs: number,
  ): boolean => preferred === node && Math.abs(wallMs - preferredMs) < Math.max(PREFERRED_MS, PREFERRED_DELAYS * startDelayMs),

  /** The nodes that may have the application, in order: the one that a move names, then those of the configuration. */
  candidates: (app: AppRules, note: Note, wallMs: number): string[] => {
    const first = app.nodes.filter((node) => RULES.isPreferred(app, note, node, wallMs));
    return [...new Set([...first, ...app.nodes])].filter((node) => !RULES.isExhausted(app, note, node, wallMs));
  },

  /**
   * How long this node waits for those before it: twice as long for the node of a move, which may still look at its last orders. At the start of
   * the cluster, a node that is silent may only be booting.
   */
  delayMs: (app: AppRules, { me, nowMs, wallMs }: Facts, memory: Memory, seen: Seen, note: Note): number | null => {
    if (seen.holder === me) return 0;
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
  next: (app: AppRules, { me, wallMs }: Facts, seen: Seen, note: Note): string | null =>
    RULES.candidates(app, note, wallMs).find((node) => node !== me && !RULES.isSilent(app, seen, node)) ?? null,

  isIsolated: (app: AppRules, { nowMs }: Facts, memory: Memory): boolean =>
    app.stopsInIsolation && memory.isolatedMs !== null && nowMs - memory.isolatedMs >= app.silentMs,

  failsBack: (app: AppRules, { me, nowMs, wallMs }: Facts, memory: Memory, note: Note): boolean =>
    app.failBack &&
    app.nodes[0] !== me &&
    memory.firstNodeMs !== null &&
    nowMs - memory.firstNodeMs >= FAIL_BACK_MS &&
    !RULES.isExhausted(app, note, app.nodes[0] ?? '', wallMs),

  /** The remains of an application that this node does not hold are removed. Before the first start, nothing here is rsapp's. */
  mustClean: ({ local, seen }: Facts): boolean => local.holds === false && local.isUp && !(seen?.isSure === true && seen.note === null),
};
