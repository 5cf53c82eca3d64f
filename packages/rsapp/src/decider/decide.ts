// Decides what a node does about one application. Pure: equal facts and an equal memory give an equal decision. Invariants: a node starts an
// application only if its note, which enough servers have confirmed, wants that; it takes it from another node only if the servers agree
// that this node is silent; what this node does not hold is removed from this machine before anything else. A note that is
// lost does not make an application new: its holder writes the last one again, and no other node starts it without an order.

import type { AppRules, Decision, Facts, Memory, Order, Seen } from './facts.ts';
import { changed, newNote, type Note, withFailure, withPassed } from './note.ts';
import { RULES } from './rules.ts';

const NEVER_STARTED = 'It was never started: rsconfig app start NAME';
const FAILED = 'It failed on all nodes';
const LOST = 'Its note at the first volume was lost, and it is not taken for new: rsconfig app start NAME';

export function newMemory(beganMs: number): Memory {
  return { beganMs, open: null, isolatedMs: null, firstNodeMs: null, known: null };
}

export function decide(app: AppRules, before: Memory, facts: Facts): Decision {
  const memory = remembered(app, before, facts);
  return { memory, order: orderFor(app, memory, facts) };
}

function remembered(app: AppRules, before: Memory, facts: Facts): Memory {
  const { nowMs, seen, local, me } = facts;
  const isCutOff = !RULES.isKnown(seen) && local.holds !== false && local.isUp;
  const isFirstThere = RULES.isKnown(seen) && app.nodes[0] !== me && (seen.silentMs[app.nodes[0] ?? ''] ?? Infinity) === 0;
  const isOpen = RULES.isKnown(seen) && RULES.isOpen(app, facts, seen);
  const holder = seen?.holder ?? '';
  return {
    beganMs: before.beganMs,
    open: !isOpen ? null : before.open?.holder === holder ? before.open : { holder, sinceMs: nowMs },
    isolatedMs: isCutOff ? (before.isolatedMs ?? nowMs) : null,
    firstNodeMs: isFirstThere ? (before.firstNodeMs ?? nowMs) : null,
    known: RULES.known(before.known, facts),
  };
}

function orderFor(app: AppRules, memory: Memory, facts: Facts): Order {
  const { seen, local } = facts;
  if (RULES.mustClean(facts, memory)) return { kind: 'clean', why: heldElsewhere(app, facts) };
  if (!RULES.isKnown(seen)) {
    if (!RULES.isIsolated(app, facts, memory)) return none(seen === null ? 'rsiod or its servers do not answer' : 'Too few servers answer');
    return local.isUp ? { kind: 'halt', why: 'No server is in reach' } : none('No server is in reach');
  }
  if (local.holds === 'unknown') return none('rsiod is about to attach its volumes again');
  const { note } = seen;
  if (note === 'unreadable') return none('The note at its first volume cannot be read: see the log');
  return local.holds === true ? whileHeld(app, memory, facts, seen, note) : whileElsewhere(app, memory, facts, seen, note);
}

function heldElsewhere({ name }: AppRules, { seen }: Facts): string {
  return RULES.isKnown(seen) && seen.holder !== null ? `Node ${seen.holder} has taken ${name}` : `This node does not hold ${name} any more`;
}

function whileHeld(app: AppRules, memory: Memory, facts: Facts, seen: Seen, noted: Note | null): Order {
  const { me, wallMs, local, isDrained } = facts;
  const known = memory.known?.note ?? null;
  // `known` is the note that the volume has, unless that one was lost.
  if (known !== null && known.changes > (noted?.changes ?? -1)) return { kind: 'save', note: changed(known, {}) };
  // Either a person has attached the volume, or rsapp has attached it and then could not write the first note.
  if (noted === null) return local.isRunning ? { kind: 'save', note: newNote(app.name, lineFor(facts)) } : none(NEVER_STARTED);
  if (!RULES.isWanted(noted)) return local.isUp ? stop(null, whyUnwanted(noted)) : none(whyUnwanted(noted));
  if (isDrained) return stop(moved(noted, RULES.next(app, facts, seen, noted), wallMs), 'This node is drained');
  const target = app.nodes.find((node) => node !== me && RULES.isPreferred(app, noted, node, wallMs));
  if (target !== undefined) return stop(null, `It moves to ${target}`);
  if (local.failure !== null) return afterFailure(app, facts, seen, withFailure(noted, me, wallMs, local.failure.final, local.failure.why));
  if (!app.nodes.includes(me)) return stop(null, 'This node is not among its nodes');
  // If nothing but the volume is here, a person has attached it, which is an order to start.
  if (!local.isRunning)
    return local.isUp && RULES.isExhausted(app, noted, me, wallMs) ? afterFailure(app, facts, seen, noted) : start(null, settled(noted));
  if (RULES.failsBack(app, facts, memory, noted))
    return stop(moved(noted, app.nodes[0] ?? null, wallMs), `It returns to ${app.nodes[0] ?? ''}`);
  if (noted.runs === false) return { kind: 'save', note: changed(noted, { runs: true }) };
  return none('');
}

/** The note of a stopped application has a reason only after a failure on all nodes, because the order of a person clears the reason. */
function whyUnwanted({ enabled, why }: Note): string {
  if (!enabled) return 'It is disabled';
  return why === '' ? 'It is stopped' : `${FAILED}: ${why}`;
}

function afterFailure(app: AppRules, facts: Facts, seen: Seen, note: Note): Order {
  const { me, wallMs } = facts;
  if (!RULES.isExhausted(app, note, me, wallMs)) return { kind: 'restart', note, why: note.why };
  const next = RULES.next(app, facts, seen, note);
  if (next !== null) return stop(moved(note, next, wallMs), `It failed here, and ${next} is to take it: ${note.why}`);
  // A node that is only away, and that has not failed, may take the application when it returns.
  const isHopeless = app.nodes.every((node) => RULES.isExhausted(app, note, node, wallMs));
  return isHopeless
    ? stop(changed(note, { started: false, preferred: null }), `${FAILED}: ${note.why}`)
    : stop(changed(note, { preferred: null }), `It failed here: ${note.why}`);
}

function whileElsewhere(app: AppRules, memory: Memory, facts: Facts, seen: Seen, found: Note | null): Order {
  const { me, nowMs, wallMs, isDrained, isOrdered } = facts;
  const lost = found === null ? (memory.known?.note ?? null) : null;
  const noted = isOrdered ? startedNote(app.name, found ?? lost, lineFor(facts)) : found;
  if (noted === null) return none(lost === null ? NEVER_STARTED : LOST);
  if (!RULES.isWanted(noted)) return none(whyUnwanted(noted));
  // After a reboot, this node may still have the hold. Other nodes do not take the hold while servers see this node.
  const refuse = (why: string): Order => (seen.holder === me ? stop(null, why) : none(why));
  if (!app.nodes.includes(me)) return refuse('This node is not among its nodes');
  if (isDrained) return refuse('This node is drained');
  if (memory.open === null) return none('');
  const untilMs = RULES.restsUntilMs(app, noted, me, wallMs);
  if (untilMs !== null) return refuse(`It has failed here, and is tried here again at ${utc(untilMs)} if no other node takes it`);
  const next = RULES.isExhausted(app, noted, me, wallMs) ? RULES.next(app, facts, seen, noted) : null;
  if (seen.holder === me && next !== null) return refuse(`It has failed here, and ${next} is to take it`);
  const delayMs = RULES.delayMs(app, facts, memory, seen, noted);
  const waitMs = delayMs === null ? Infinity : delayMs - (nowMs - memory.open.sinceMs);
  if (waitMs > 0) return none(`Nodes before this one have their turn${waitMs === Infinity ? '' : ` until ${utc(wallMs + waitMs)}`}`);
  return start(seen.holder === null || seen.holder === me ? null : seen.holder, afterTurns(app, me, seen, noted, wallMs));
}

/** The node that a move has named has not taken the application, although it is in reach: the others come first now. */
function afterTurns(app: AppRules, me: string, seen: Seen, note: Note, wallMs: number): Note {
  const { preferred } = note;
  if (preferred === null || preferred === me) return settled(note);
  if (RULES.isSilent(app, seen, preferred)) return settled(note);
  return settled(withPassed(note, preferred, wallMs));
}

/** Returns why no node but the holder could take the application now, or why the next node might not take it; '' if one could. */
export function whyAlone(app: AppRules, wallMs: number, seen: Seen, note: Note): string {
  const next = RULES.next(app, { me: seen.holder ?? '', wallMs }, seen, note);
  if (next !== null) return RULES.barredMs(app, note, next, wallMs) === null ? '' : `${next} has not taken it in its turn: is it drained?`;
  const reasons = app.nodes
    .filter((node) => node !== seen.holder)
    .map((node) => {
      if (RULES.isSilent(app, seen, node)) return `the servers do not see ${node}`;
      const untilMs = RULES.restsUntilMs(app, note, node, wallMs);
      return `it has failed on ${node}${untilMs === null ? '' : `, which rests until ${utc(untilMs)}`}`;
    });
  return reasons.length === 0 ? '' : `No other node is ready: ${reasons.join('; ')}`;
}

/** Prints the time in whole seconds, so that the text stays the same from look to look. */
function utc(wallMs: number): string {
  return `${new Date(Math.ceil(wallMs / 1000) * 1000).toISOString().slice(11, 19)} UTC`;
}

function settled(note: Note): Note {
  return note.preferred === null ? note : changed(note, { preferred: null });
}

function moved(note: Note, preferred: string | null, preferredMs: number): Note {
  return changed(note, { preferred, preferredMs, runs: false });
}

function start(from: string | null, note: Note): Order {
  return { kind: 'start', from, note: changed(note, { runs: false }) };
}

function stop(note: Note | null, why: string): Order {
  return { kind: 'stop', note, why };
}

function none(why: string): Order {
  return { kind: 'none', why };
}

/** One node makes no two first notes at one moment. */
export function lineFor({ me, wallMs }: Pick<Facts, 'me' | 'wallMs'>): string {
  return `${me} ${wallMs}`;
}

/** The note with which a person starts the application for the first time, or again. */
export function startedNote(name: string, note: Note | null, line: string): Note {
  return changed(note ?? newNote(name, line), { started: true, failures: [], preferred: null, runs: false, why: '' });
}
