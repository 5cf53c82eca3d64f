// Follows what the servers print: in each state of `volume replications` that does not go on by itself, gives the orders that its text
// names, until one server is the source and the other one follows. Invariants: no order is given that the text of the state, or the refusal
// of the order before, does not name with the present names of the volumes. The content of the wanted server wins.

import { setTimeout as sleep } from 'node:timers/promises';
import type { ReplicationView } from '@rsio/api/views/views';
import { other, SERVERS, type Side, SIDES, type TwoSites } from './two-sites.ts';

const LOOK_MS = 300;
/** A server asks the other one for its orders every 5 s. */
const [SURE_MS, STUCK_MS, SETTLE_MS] = [6_500, 8_000, 300_000];
const SURE: ReadonlySet<string> = new Set(['diverged', 'split', 'closed', 'refused']);
const WELL: ReadonlySet<string> = new Set(['waiting', 'copying']);
const ORDERS_MAX = 14;
const TRIES_MAX = 12;
const AGAIN_MS = 700;

type Views = readonly [readonly ReplicationView[], readonly ReplicationView[]];

export class Ways {
  /** What was done since `settle` began, for reports. */
  steps: string[] = [];
  readonly problems: string[] = [];
  private readonly sites: TwoSites;

  constructor(sites: TwoSites) {
    this.sites = sites;
  }

  /**
   * Gives an order. An order that meets a kill or a rename is given again with the present names. `isRefused`: the order must be refused. Returns its
   * last output.
   */
  async order(side: Side, ...args: readonly string[]): Promise<string> {
    return this.ordered(side, () => Promise.resolve(args));
  }

  async ordered(side: Side, argsOf: () => Promise<readonly string[]>): Promise<string> {
    let said = '';
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const args = await argsOf().catch(() => null);
      if (args !== null) {
        const { code, stdout, stderr } = await this.sites.host(side).rsadm(...args);
        this.steps.push(`${SERVERS[side]}: rsadm ${args.join(' ')} -> ${code}${code === 0 ? '' : ` ${stderr.trim()}`}`);
        if (code === 0) return stdout + stderr;
        said = stderr;
        const allow = /volume allow (\S+) (\S+)/.exec(stderr);
        await this.confirmed(side, stderr);
        if (allow !== null) await this.sites.host(side).rsadm('volume', 'allow', allow[1]!, allow[2]!);
      }
      await sleep(AGAIN_MS);
    }
    throw new Error(`An order does not work: ${said}`);
  }

  /** The files of a server that was set back are new ones. Returns true if the text names a file that the command can confirm. */
  private async confirmed(side: Side, text: string): Promise<boolean> {
    const [, name, setting] = /volume set (\S+) (same-content=[\w.]+)/.exec(text) ?? [];
    if (name === undefined || setting === undefined) return false;
    const { code, stderr } = await this.sites.host(side).rsadm('volume', 'set', name, setting);
    this.steps.push(`${SERVERS[side]}: rsadm volume set ${name} ${setting} -> ${code} ${stderr.trim()}`);
    return code === 0;
  }

  private async views(): Promise<Views | null> {
    const all = await Promise.all(SIDES.map((side) => this.sites.views(side).catch(() => null)));
    return all.some((one) => one === null) ? null : (all as unknown as Views);
  }

  /** Resolves with the source. `keep`: the server whose content counts if a person must decide. */
  async settle(keep: Side, sinceMs = Date.now()): Promise<Side> {
    const endMs = Date.now() + SETTLE_MS;
    let [last, lastMs, orders] = ['', 0, 0];
    for (;;) {
      await sleep(LOOK_MS);
      const views = await this.views();
      if (views === null) continue;
      const source = SIDES.find((side) => isSteady(views, side, sinceMs));
      if (source !== undefined) return source;
      const all = SIDES.flatMap((side) => views[side].map((view) => ({ side, view })));
      const key = JSON.stringify(all.map(({ side, view: { direction, state, text } }) => [side, direction, state, text]));
      if (key !== last) [last, lastMs] = [key, Date.now()];
      const isSure = all.some(({ view: { state } }) => SURE.has(state));
      if (Date.now() > endMs || orders > ORDERS_MAX)
        throw new Error(`No server is the source and followed within ${SETTLE_MS} ms and ${orders} orders: ${key}`);
      if (Date.now() - lastMs < (isSure ? SURE_MS : STUCK_MS)) continue;
      if (await this.act(views, keep)) orders++;
      last = '';
    }
  }

  /** Gives the order that the state names. Returns false if the servers go on by themselves. */
  private async act(views: Views, keep: Side): Promise<boolean> {
    for (const side of [keep, other(keep)]) {
      const peer = other(side);
      for (const view of views[side].filter(({ direction }) => direction === 'in')) {
        const { state, text } = view;
        const isOld = text.includes('were the source');
        this.steps.push(`${SERVERS[side]}: in ${state}: ${text}`);
        if (state === 'diverged') return this.named(side, view, 'promote');
        if (state === 'failing' && (await this.confirmed(side, text))) return true;
        if (state === 'failing' && text.includes('volume demote') && keep === peer)
          return this.named(side, view, 'demote', '--for', SERVERS[peer]!);
        if (state === 'refused') return this.named(side, view, 'reverse', '--cancel');
        if ((state === 'split' || state === 'closed') && keep === peer) return this.named(side, view, 'demote', '--for', SERVERS[peer]!);
        if (state === 'closed' && isOld && (await this.endForced(side, view))) return true;
        if (state === 'split' || state === 'closed') return this.takeOver(side, views, text);
        if (state === 'ended' && keep === side) return this.named(side, view, 'promote');
        if (state === 'ended') return this.startAgain(views, peer);
      }
    }
    for (const side of SIDES)
      for (const view of views[side].filter(({ direction }) => direction === 'out')) {
        const { state, text } = view;
        this.steps.push(`${SERVERS[side]}: out ${state}: ${text}`);
        if (state === 'split' || state === 'closed') return keep === side ? this.end(side, view) : this.takeOver(keep, views, text);
      }
    if (SIDES.every((side) => views[side].every(({ direction }) => direction === 'in'))) return this.startAgain(views, keep);
    return false;
  }

  /** The volumes are to be replicated by this server; if they follow there, they are promoted before. */
  private async startAgain(views: Views, side: Side): Promise<boolean> {
    const view = views[side].find(({ direction, state }) => direction === 'in' && state !== 'promoted');
    if (view !== undefined) return this.named(side, view, 'promote');
    await this.ordered(side, () => this.sites.replicating(side));
    return true;
  }

  /** Replicates the volumes here, and then makes the others follow. */
  private async takeOver(side: Side, views: Views, text: string): Promise<boolean> {
    const peer = other(side);
    if (!/volume replicate.*demote/.test(text))
      this.problems.push(`The text names no way to keep the content of ${SERVERS[side]}: ${text}`);
    if (views[side].every(({ direction }) => direction === 'in')) await this.ordered(side, () => this.sites.replicating(side));
    else await this.ordered(peer, async () => ['volume', 'demote', ...(await this.sites.names(peer)), '--for', SERVERS[side]!, '--yes']);
    return true;
  }

  private async endForced(side: Side, { text }: ReplicationView): Promise<boolean> {
    const names = await this.sites.names(side);
    if (!namesOf('replicate', names).some((one) => text.includes(`${one} --end --force`))) return false;
    await this.ordered(side, async () => ['volume', 'replicate', ...(await this.sites.names(side)), '--end', '--force']);
    return true;
  }

  private async end(side: Side, { text }: ReplicationView): Promise<boolean> {
    const [names, peer] = [await this.sites.names(side), other(side)];
    if (!namesOf('replicate', names).some((one) => text.includes(`${one} --end`)))
      this.problems.push(`The text does not name replicate ${names.join(' ')} --end: ${text}`);
    const force = text.includes('--end --force') ? ['--force'] : [];
    await this.ordered(side, async () => ['volume', 'replicate', ...(await this.sites.names(side)), '--end', ...force]);
    await this.ordered(side, () => this.sites.replicating(side));
    await this.ordered(peer, async () => ['volume', 'demote', ...(await this.sites.names(peer)), '--for', SERVERS[side]!, '--yes']);
    return true;
  }

  private async named(side: Side, { text, state }: ReplicationView, verb: string, ...options: readonly string[]): Promise<boolean> {
    const names = await this.sites.names(side);
    if (!namesOf(verb, names).some((one) => text.includes(one)))
      this.problems.push(`The state ${state} does not name volume ${verb} ${names.join(' ')}: ${text}`);
    // A state whose followers have no moment in common names a snapshot.
    const from = verb === 'promote' ? (/volume promote [^-]*(--from) (\S+)/.exec(text)?.slice(1) ?? []) : [];
    const yes = verb === 'demote' || verb === 'promote' ? ['--yes'] : [];
    await this.ordered(side, async () => ['volume', verb, ...(await this.sites.names(side)), ...options, ...from, ...yes]);
    return true;
  }
}

/** The order with the names in either order. */
function namesOf(verb: string, names: readonly string[]): readonly string[] {
  return [names, names.toReversed()].map((all) => `volume ${verb} ${all.join(' ')}`);
}

function isSteady(views: Views, side: Side, sinceMs: number): boolean {
  const [out, into] = [views[side], views[other(side)]];
  const sent = out.filter(({ direction }) => direction === 'out');
  const got = into.filter(({ direction, state }) => direction === 'in' && state !== 'promoted');
  return (
    into.every(({ direction }) => direction === 'in') &&
    out.every(({ direction, state }) => direction === 'out' || state === 'promoted') &&
    sent.length === 1 &&
    got.length === 1 &&
    [...sent, ...got].every(({ state }) => WELL.has(state)) &&
    sent[0]!.id === got[0]!.id &&
    (got[0]!.momentMs ?? 0) > sinceMs &&
    (sent[0]!.momentMs ?? 0) > sinceMs
  );
}
