// A worker of a simulated server of a farm: one process with the production session, connected to the production listener by messages that
// take time and keep their order. It stands in for session-host.ts and worker-pool.ts. Invariant: a message of the listener reaches the
// session only while the worker runs, and a message of the session reaches the listener only while the listener runs.

import type { Socket } from 'node:net';
import { RsError } from '@rsio/base/lib/errors';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { STATUS } from '@rsio/protocol/wire/status';
import { WORKER_FAREWELL_MS } from '@rsio/rssrv/server/limits';
import { WorkerSession } from '@rsio/rssrv/server/workers/worker-session';
import type { FromSession, SessionRequest, ToSession } from '@rsio/rssrv/session/channel/channel';
import { Session } from '@rsio/rssrv/session/session';
import type { Backend } from '@rsio/rssrv/storage/io/backend';
import type { ServedVolume } from '@rsio/rssrv/storage/io/served-volume';
import { NO_LOG } from '../base/no-log.ts';
import { type SimClock, SimProcess } from '../base/sim-clock.ts';
import { simPools } from '../base/sim-pools.ts';
import type { SimEnd } from '../network/sim-link.ts';

export interface WorkerPorts {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly listener: SimProcess;
  readonly slots: number;
  /** Longest time of a message between listener and worker, ms. */
  readonly controlMs: number;
  /** Throws E_VOLUME if the volume cannot be opened now. */
  open(volume: ServedVolume, process: SimProcess): Backend;
  breach(sentence: string): void;
}

type Answer = Extract<ToSession, { type: 'answer' }>['answer'];

export class FarmWorker {
  readonly process: SimProcess;
  readonly workerSession: WorkerSession;
  private session: Session | null = null;
  private readonly id: string;
  private readonly ports: WorkerPorts;
  private readonly pools = simPools();
  private readonly asked = new Map<number, (answer: Answer) => void>();
  private askNumber = 0;
  /** Times at which the last message to and from the listener arrives. */
  private toMs = 0;
  private fromMs = 0;
  private ended: Promise<void> | null = null;

  constructor(id: string, ports: WorkerPorts) {
    this.id = id;
    this.ports = ports;
    const { clock, listener } = ports;
    this.process = new SimProcess(clock);
    this.workerSession = new WorkerSession(
      {
        pid: 1,
        usable: Promise.resolve(),
        clock: listener,
        blockedMs: null,
        pass: () => Promise.reject(new Error('No files')),
        send: (message) => message.type === 'session' && this.arrives(() => this.receive(message.message, null)),
        sendSocket: ({ message }, socket) => {
          const end = socket as unknown as SimEnd;
          end.owner = this.process;
          this.arrives(() => this.receive(message, end));
        },
        sessionEnded: () => this.process.kill(),
        kill: () => this.process.kill(),
      },
      id,
    );
    let isClean = false;
    const receive = this.workerSession.receive.bind(this.workerSession);
    this.workerSession.receive = (message) => {
      isClean ||= message.type === 'ended';
      receive(message);
    };
    this.process.whenKilled = () => {
      this.pools.outputs.reclaim();
      listener.after(0, () => this.workerSession.finish(isClean));
    };
  }

  private arrives(told: () => void): void {
    const { clock, random, controlMs } = this.ports;
    const nowMs = clock.monotonicMs();
    this.toMs = Math.max(this.toMs, nowMs + random.unit() * controlMs);
    this.process.after(this.toMs - nowMs, told);
  }

  private say(message: FromSession): void {
    const { clock, random, listener, controlMs } = this.ports;
    const nowMs = clock.monotonicMs();
    this.fromMs = Math.max(this.fromMs, nowMs + random.unit() * controlMs);
    listener.after(this.fromMs - nowMs, () => {
      if (!this.workerSession.isGone) this.workerSession.receive(message);
    });
  }

  private receive(message: ToSession, end: SimEnd | null): void {
    if (message.type === 'begin') {
      this.session = new Session(
        Buffer.from(this.id, 'hex'),
        message.interfaces,
        message.generation,
        this.sessionPorts(),
        this.ports.slots,
      );
      return;
    }
    const { session } = this;
    if (session === null) return;
    if (message.type === 'path') {
      if (end !== null && !end.isClosed) session.admit(end, message.admission);
    } else if (message.type === 'answer') {
      this.asked.get(message.number)?.(message.answer);
      this.asked.delete(message.number);
    } else if (message.type === 'end') this.end(message.code, message.sentence);
    else if (message.type === 'list-changed') session.listChanged(message.interfaces, message.generation, message.grown);
    else if (message.type === 'lose') session.volumes.lose(message.volumeId);
    else if (message.type === 'revoke')
      void session
        .revoke(message.volumeId, message.epoch)
        .then((isFlushed) => this.say({ type: 'revoked', number: message.number, isFlushed }));
  }

  private end(code: string, sentence: string): void {
    const { session, process, pools, ports } = this;
    if (session === null) return;
    this.ended ??= session.end(code, sentence).then(
      () =>
        void process.after(WORKER_FAREWELL_MS, () => {
          if (pools.bodies.lent.size > 0)
            ports.breach(`${pools.bodies.lent.size} body buffers of a server process are not back at its end`);
          this.say({ type: 'ended' });
        }),
    );
  }

  private ask<T extends Answer>(request: SessionRequest): Promise<T> {
    const number = this.askNumber++;
    return new Promise((resolve) => {
      this.asked.set(number, (answer) => resolve(answer as T));
      this.say({ type: 'ask', number, request });
    });
  }

  private sessionPorts(): ConstructorParameters<typeof Session>[3] {
    const { process, pools } = this;
    return {
      clock: process,
      log: NO_LOG,
      pools,
      quietChanged: (quietMs) => this.say({ type: 'quiet', quietMs }),
      pathsChanged: (count) => this.say({ type: 'paths', count }),
      clientEnds: (sentence) => this.end('E_NO_SESSION', sentence),
      list: () => this.ask({ what: 'list' }),
      grant: (request) => this.ask({ what: 'grant', request }),
      release: async (volumeId, epoch) => void (await this.ask({ what: 'release', volumeId, epoch })),
      settle: async (volumeId, epoch, incarnation) => {
        const answer = await this.ask({ what: 'settle', volumeId, epoch, incarnation });
        if (answer === null || !('isSettled' in answer)) throw new RsError('E_SYSTEM', 'The server could not save it');
        return answer;
      },
      look: async (poolId, generation, hasFailed) => {
        const answer = await this.ask({ what: 'look', poolId, generation, hasFailed });
        return answer !== null && 'isMine' in answer && answer.isMine;
      },
      lookAge: async (poolId, generation) => {
        const answer = await this.ask({ what: 'look-age', poolId, generation });
        return answer !== null && 'lookAgeMs' in answer ? answer.lookAgeMs : null;
      },
      admin: () => Promise.resolve({ adminStatus: STATUS.UNSUPPORTED, sentence: 'There is no ADMIN here' }),
      vote: () => Promise.resolve({ voteStatus: STATUS.UNSUPPORTED, sentence: 'There is no VOTE here' }),
      lost: (volumeId) => this.say({ type: 'lost', volumeId }),
      cut: () => this.ports.breach('Storage that nobody cut was found cut'),
      waitsForSpace: () => undefined,
      throttled: () => undefined,
      held: () => undefined,
      askRecord: () => Promise.resolve(null),
      askNodes: () => Promise.resolve(null),
      askSnapshot: () => Promise.resolve(null),
      clone: () => Promise.resolve(null),
      openBackend: (volume) =>
        new Promise((resolve, reject) => {
          process.after(this.ports.random.unit() * this.ports.controlMs, () => {
            try {
              resolve(this.ports.open(volume, process));
            } catch (thrown) {
              reject(thrown as Error);
            }
          });
        }),
    };
  }
}

/** The connection as the production listener passes it on. */
export function asSocket(end: SimEnd): Socket {
  return end as unknown as Socket;
}
