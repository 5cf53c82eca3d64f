// Makes a mirror as the commands do: founds it at every voter, claims it, turns the volumes into replicas, and stores a clean config in which
// all are in sync. The client repeats an unanswered step. After a restart, the client begins from the first step, with a higher number of
// the claim.

import { callSession } from '@rsio/protocol/client/session-call';
import { OP } from '@rsio/protocol/wire/frames';
import * as codec from '@rsio/protocol/wire/mirror-messages';
import { type MirrorConfig, type MirrorMember, VOTE, type VoteAnswer, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { SimProcess } from '../base/sim-clock.ts';
import type { SimClient } from '../machines/sim-client.ts';

export interface FounderPorts {
  readonly client: SimClient;
  readonly mirror: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly voters: readonly number[];
  readonly replicas: readonly number[];
  founded(): void;
}

/** WAIT_MS: longest wait for an answer. AGAIN_MS: pause between two attempts. */
const WAIT_MS = 5000;
const AGAIN_MS = 100;

export class SimFounder {
  private readonly ports: FounderPorts;
  private isDone = false;

  constructor(ports: FounderPorts) {
    this.ports = ports;
  }

  begin(process: SimProcess): void {
    void this.live(process);
  }

  killed(): void {
    // Ignores the error, and begins from the first step.
  }

  private async live(process: SimProcess): Promise<void> {
    while (!this.isDone && !(await this.found(process))) await wait(process, AGAIN_MS);
    if (this.isDone) return;
    this.isDone = true;
    this.ports.founded();
  }

  private async found(process: SimProcess): Promise<boolean> {
    const { mirror, name, sizeBytes, voters, replicas } = this.ports;
    const records = await this.all(process, voters, VOTE.RECORD, codec.VoteRecord.encode({ mirror }));
    const unknown = voters.filter((server) => records.get(server)?.voted !== VOTED.DONE);
    const founded = await this.all(process, unknown, VOTE.FOUND, codec.VoteFound.encode({ mirror, name, universe: 0 }));
    const ids = voters.map((serverid) => ({ serverid, voter: records.get(serverid)?.voter ?? founded.get(serverid)?.voter ?? '' }));
    if (ids.some(({ voter }) => voter === '')) return false;
    const number = 1 + Math.max(0, ...[...records.values()].map(({ promise }) => promise?.number ?? 0));
    const claims = await this.all(process, voters, VOTE.CLAIM, codec.VoteClaim.encode({ mirror, number, takesOver: true }));
    if (!this.isAll(claims, voters)) return false;
    const placed = await this.all(process, replicas, VOTE.PLACE, codec.VotePlace.encode({ mirror, number, volume: name, universe: 0 }));
    const members: MirrorMember[] = replicas.flatMap((serverid) => {
      const replica = placed.get(serverid)?.replica ?? null;
      return replica === null ? [] : [{ identity: replica.identity, serverid, volume: name, universe: 0 }];
    });
    if (!this.isAll(placed, replicas) || members.length < replicas.length) return false;
    const config: MirrorConfig = {
      k: 1,
      clean: true,
      inSync: members.map(({ identity }) => identity),
      members,
      voters: ids,
      nextVoters: null,
      sizeBytes,
      clients: null,
    };
    const stored = await this.all(process, voters, VOTE.CONFIG, codec.VoteConfig.encode({ mirror, number, config }));
    return this.isAll(stored, voters);
  }

  private isAll(answers: ReadonlyMap<number, VoteAnswer>, servers: readonly number[]): boolean {
    return servers.every((server) => answers.get(server)?.voted === VOTED.DONE);
  }

  /** Sends the request to the servers. Returns the answers that arrive in time. */
  private async all(process: SimProcess, servers: readonly number[], aux: number, body: Buffer): Promise<Map<number, VoteAnswer>> {
    const answers = new Map<number, VoteAnswer>();
    if (servers.length === 0) return answers;
    await new Promise<void>((resolve) => {
      const timer = process.after(WAIT_MS, resolve);
      for (const server of servers) {
        const trunk = this.ports.client.namespace.servers.get(server)?.trunk;
        if (trunk === undefined || trunk.isEnded) continue;
        callSession(trunk, { op: OP.VOTE, attachment: null, aux, body }, ({ status, bodies: [answer] }) => {
          if (status === STATUS.OK && answer !== undefined) answers.set(server, codec.VoteAnswer.decode(answer, 0, answer.length));
          if (answers.size < servers.length) return;
          timer.cancel();
          resolve();
        });
      }
    });
    return new Map(answers);
  }
}

function wait(process: SimProcess, ms: number): Promise<void> {
  return new Promise((resolve) => {
    process.after(ms, resolve);
  });
}
