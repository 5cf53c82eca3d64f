// Checks an explored world from the outside after each step: which replicas later claims could choose, which values a read could return
// now, and whether replicas in sync are equal. The checks are the same as in test/models/members. The judge observes and changes nothing.

import { highestOf } from '@rsio/protocol/mirror/membership/quorums';
import type { MembershipRules } from '@rsio/protocol/mirror/membership/rules';
import type { History } from './history.ts';
import type { Holder } from './holder.ts';
import { GARBAGE, type Server } from './servers.ts';

export class Judge {
  readonly #servers: readonly Server[];
  readonly #holders: readonly Holder[];
  readonly #history: History;
  readonly #blocks: number;

  /** Rules by which the clients of this world claim. */
  readonly #rules: MembershipRules;

  constructor(servers: readonly Server[], holders: readonly Holder[], history: History, blocks: number, rules: MembershipRules) {
    this.#rules = rules;
    this.#servers = servers;
    this.#holders = holders;
    this.#history = history;
    this.#blocks = blocks;
  }

  /** Returns the first fault; null if the state has no fault. */
  check(): string | null {
    for (let at = 0; at < this.#blocks; at += 1) {
      const order = this.#history.order(at, null);
      if (order === null) return 'A read returned what it must not';
      const wrong = this.#checkClaims(at, order) ?? this.#checkReads(at);
      if (wrong !== null) return wrong;
    }
    return this.#checkEqual();
  }

  /**
   * Expects that each replica that a later claim may choose contains all flushed values, and that the claim knows the size that users have
   * seen.
   */
  #checkClaims(at: number, order: readonly number[]): string | null {
    for (let set = 1; set < 1 << this.#servers.length; set += 1) {
      const answers = this.#servers.filter(({ serverid }) => (set >> serverid) & 1);
      const config = highestOf(answers.map(({ record }) => record?.stored ?? null))?.config ?? null;
      if (config === null || !this.#rules.isQuorum(config, (voter) => answers.some(({ record }) => record?.voter === voter))) continue;
      if (config.sizeBytes < this.#history.toldBytes) return 'A size was told that the next holder does not know';
      for (const identity of config.inSync) {
        const replica = this.#servers.find((server) => server.replica?.identity === identity)?.replica ?? null;
        if (replica === null) continue;
        if (replica.sizeBytes < config.sizeBytes) return 'A replica that the next holder may choose is too small';
        const lacks = this.#lacksFlushed(replica, at, order);
        if (lacks !== null) return `${lacks}: ${identity.slice(-2)} in configuration ${config.k}`;
      }
    }
    return null;
  }

  #lacksFlushed(replica: NonNullable<Server['replica']>, at: number, order: readonly number[]): string | null {
    for (const value of this.#history.flushed) {
      if (this.#history.writes[value - 1]?.block !== at) continue;
      for (let left = 0; left <= GARBAGE; left += 1) {
        if (left !== replica.disk[at] && !(((replica.dirty[at] ?? 0) >> left) & 1)) continue;
        if (left === GARBAGE || ((order[left] ?? 0) >> value) & 1)
          return `A replica that the next holder may choose lacks the flushed write ${value}`;
      }
    }
    return null;
  }

  #checkReads(at: number): string | null {
    for (const holder of this.#holders) {
      if (!holder.isServing || (holder.blocks[at]?.write ?? 0) > 0) continue;
      const confirming = new Set(this.#servers.filter((server) => holder.reaches(server) && holder.promises(server)));
      if (!holder.isConfirmed(confirming)) continue;
      for (const session of holder.sessions.values()) {
        const value = session.server.replica?.cache[at] ?? 0;
        if (holder.canRead(session, at) && this.#history.order(at, value) === null)
          return `A read by ${holder.node} would return the stale ${value}`;
      }
    }
    return null;
  }

  #checkEqual(): string | null {
    for (const holder of this.#holders) {
      if (holder.view?.isServing !== true || holder.view.isPending) continue;
      if (holder.blocks.some(({ write, settling }) => write > 0 || settling !== 'settled')) continue;
      const all = holder.inSync();
      if (!all.every((one) => holder.works(one) && one.queue.every((request) => request === null) && !one.replays.includes(true))) continue;
      const values = new Set(all.map(({ server }) => server.replica?.cache.join()));
      if (values.size > 1) return `All is quiet, but the replicas in sync of ${holder.node} differ`;
    }
    const highest = highestOf(this.#servers.map(({ record }) => record?.stored ?? null));
    if (highest === null || !highest.config.clean) return null;
    const present = this.#servers.filter(({ replica }) => replica !== null && highest.config.inSync.includes(replica.identity));
    return new Set(present.map(({ replica }) => replica?.cache.join())).size > 1 ? 'A clean end, but the replicas in sync differ' : null;
  }
}
