// A client that repeatedly claims a mirror without data: it asks for the records, claims, stores its config, confirms for a while, and ends
// with a clean config, unless a higher claim ends it first. The client uses the trunks of a simulated client, and continues after this
// client restarts. The vote judge judges the answers.

import { callSession } from '@rsio/protocol/client/session-call';
import { OP } from '@rsio/protocol/wire/frames';
import {
  type MirrorConfig,
  type Term,
  VOTE,
  VoteAnswer,
  VoteClaim,
  VoteConfig,
  VOTED,
  VoteFound,
  VoteRecord,
  VoteTerm,
} from '@rsio/protocol/wire/mirror-messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { SimProcess } from '../base/sim-clock.ts';
import type { Trace } from '../base/trace.ts';
import { type VoteJudge, type VoteTicket, versionOf } from '../judges/vote-judge.ts';
import type { SimClient } from '../machines/sim-client.ts';

/** A mirror without data. `voters` has the id of the voter for each server at which the mirror is founded. */
export interface BareMirror {
  readonly id: string;
  readonly judge: VoteJudge;
  readonly voters: Map<number, string>;
}

export interface ClaimerPorts {
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly client: SimClient;
  readonly mirror: BareMirror;
  readonly servers: readonly number[];
  readonly thinkMs: number;
  readonly isFounder: boolean;
}

interface Answered {
  readonly server: number;
  readonly answer: VoteAnswer;
}

/** Longest wait for an answer. */
const WAIT_MS = 4000;
const ROUNDS_MAX = 6;

export class SimClaimer {
  ended = 0;
  private readonly ports: ClaimerPorts;
  private left: number;

  constructor(ports: ClaimerPorts, claims: number) {
    this.ports = ports;
    this.left = claims;
  }

  get isDone(): boolean {
    return this.left <= 0;
  }

  /** A process of the client has begun. */
  begin(process: SimProcess): void {
    void this.live(process);
  }

  killed(): void {
    // Ignores the error. The client keeps its claim.
  }

  private async live(process: SimProcess): Promise<void> {
    const { isFounder, mirror, servers } = this.ports;
    while (isFounder && mirror.voters.size < servers.length) await this.found(process);
    while (this.left > 0) {
      await this.pause(process);
      if (mirror.voters.size < servers.length) continue;
      await this.hold(process);
      this.left--;
    }
  }

  private async found(process: SimProcess): Promise<void> {
    const { mirror, servers } = this.ports;
    const body = VoteFound.encode({ mirror: mirror.id, name: 'bare', universe: 0 });
    for (const { server, answer } of await this.ask(process, servers, VOTE.FOUND, body))
      if (answer.voted === VOTED.DONE && answer.voter !== null) mirror.voters.set(server, answer.voter);
    await this.pause(process);
  }

  /** Claims the mirror, and holds the mirror until the claim ends. */
  private async hold(process: SimProcess): Promise<void> {
    const { random, mirror, servers, client, trace } = this.ports;
    const records = await this.ask(process, servers, VOTE.RECORD, VoteRecord.encode({ mirror: mirror.id }));
    const seen = records.flatMap(({ answer }) => answer.promise?.number ?? []);
    const term: Term = { number: Math.max(0, ...seen) + 1, node: client.names.node, instance: client.names.machine.instance };
    if (!(await this.claim(process, term))) return;
    if (trace.isOn) trace.say(`${client.name}: claims ${mirror.id.slice(0, 4)} with ${term.number}`);
    if (!(await this.store(process, term, 1, false))) return;
    for (let rounds = random.int(0, ROUNDS_MAX); rounds > 0; rounds--) {
      await this.pause(process);
      if (!(await this.confirm(process, term))) return;
    }
    this.ended++;
    await this.store(process, term, 2, true);
  }

  private async claim(process: SimProcess, { number, node, instance }: Term): Promise<boolean> {
    const { random, mirror, servers } = this.ports;
    const ticket = mirror.judge.asks();
    const body = VoteClaim.encode({ mirror: mirror.id, number, takesOver: random.chance(0.7) });
    const done = this.counted(await this.ask(process, servers, VOTE.CLAIM, body, ticket));
    if (done.length <= servers.length / 2) return false;
    mirror.judge.claimed(
      ticket,
      { number, node, instance },
      done.map(({ answer }) => versionOf(answer.stored)),
    );
    return true;
  }

  private async store(process: SimProcess, term: Term, k: number, clean: boolean): Promise<boolean> {
    const { mirror, servers } = this.ports;
    const ticket = mirror.judge.asks();
    const body = VoteConfig.encode({ mirror: mirror.id, number: term.number, config: this.config(k, clean) });
    const done = this.counted(await this.ask(process, servers, VOTE.CONFIG, body, ticket));
    if (done.length <= servers.length / 2) return false;
    mirror.judge.stored(ticket, { term, k });
    return true;
  }

  private async confirm(process: SimProcess, term: Term): Promise<boolean> {
    const { mirror, servers } = this.ports;
    const ticket = mirror.judge.asks();
    const body = VoteTerm.encode({ mirror: mirror.id, number: term.number });
    const done = this.counted(await this.ask(process, servers, VOTE.CONFIRM, body, ticket));
    if (done.length <= servers.length / 2) return false;
    mirror.judge.confirmed(ticket, term);
    return true;
  }

  /** The answers that count, because they come from voters that the config of the mirror names (Q1). */
  private counted(answers: readonly Answered[]): Answered[] {
    const { voters } = this.ports.mirror;
    return answers.filter(({ server, answer }) => answer.voted === VOTED.DONE && answer.voter === voters.get(server));
  }

  private config(k: number, clean: boolean): MirrorConfig {
    const { voters } = this.ports.mirror;
    const identity = this.ports.mirror.id;
    return {
      k,
      clean,
      inSync: [identity],
      clients: null,
      nextVoters: null,
      sizeBytes: 4096,
      members: [{ identity, serverid: 1, volume: 'bare', universe: 0 }],
      voters: [...voters].map(([serverid, voter]) => ({ voter, serverid })),
    };
  }

  /** Sends the request to the servers. Returns the answers that arrive in time. */
  private async ask(
    process: SimProcess,
    servers: readonly number[],
    aux: number,
    body: Buffer,
    ticket: VoteTicket = this.ports.mirror.judge.asks(),
  ): Promise<readonly Answered[]> {
    const { mirror, client } = this.ports;
    const answers: Answered[] = [];
    await new Promise<void>((resolve) => {
      const timer = process.after(WAIT_MS, resolve);
      const { servers: known } = client.namespace;
      for (const server of servers) {
        const trunk = known.get(server)?.trunk;
        if (trunk === undefined || trunk.isEnded) continue;
        callSession(trunk, { op: OP.VOTE, attachment: null, aux, body }, ({ status, bodies }) => {
          if (status !== STATUS.OK || bodies.length === 0) return;
          const answer = VoteAnswer.decode(bodies[0]!, 0, bodies[0]!.length);
          mirror.judge.answered(ticket, answer, aux !== VOTE.CONFIRM);
          answers.push({ server, answer });
          if (answers.length < servers.length) return;
          timer.cancel();
          resolve();
        });
      }
    });
    return [...answers];
  }

  private pause(process: SimProcess): Promise<void> {
    const { random, thinkMs } = this.ports;
    return new Promise((resolve) => {
      process.after(random.unit() * 2 * thinkMs, resolve);
    });
  }
}
