// The possible next steps of the data path of an explored client: sessions, requests at replicas, resync, settling, flushes, cleared bits,
// and actions of users. world.ts chooses among these steps.

import type { History } from './history.ts';
import type { Holder } from './holder.ts';

export type Step = readonly [weight: number, name: string, run: () => void];
type Session = ReturnType<Holder['session']>;

export class DataSteps {
  /** Whether the walk is over and all faults have ended. No new write or read begins, and all requests in flight end. */
  isMending = false;
  readonly #history: History;
  readonly #below: (bound: number) => number;

  constructor(history: History, below: (bound: number) => number) {
    this.#history = history;
    this.#below = below;
  }

  ofSession(steps: Step[], holder: Holder, session: Session, weight: number): void {
    const { server, identity } = session;
    const name = `${holder.node}-s${server.serverid}`;
    const view = holder.replicas().find((one) => one.identity === identity);
    if ((session.isOpening || (session.wasUp && !session.isUp)) && holder.reaches(server))
      steps.push([weight, `${name} opens`, () => holder.open(session)]);
    if (!session.isUp && view?.counts === true && holder.isServing)
      steps.push([this.isMending ? 3 : 2, `${name} silent`, () => holder.send({ kind: 'silent', identity, sentence: 'silent' })]);
    if (!holder.isServing) return;
    if (session.isUp && holder.reaches(server) && !holder.works(session)) {
      const isRevoked = !holder.promises(server);
      steps.push([3, `${name} breaks`, () => holder.breakSession(session, !isRevoked)]);
    }
    for (const [at, request] of session.queue.entries()) {
      if (request === null) continue;
      if (!request.isExecuted && holder.works(session))
        steps.push([weight, `${name} ${request.kind} ${request.value} of block ${at}`, () => this.#executes(holder, session, at)]);
      if (request.isExecuted && holder.reaches(server))
        steps.push([weight, `${name} answers block ${at}`, () => holder.answer(session, at)]);
    }
    this.#copies(steps, holder, session);
    const grow = holder.grows.get(identity);
    if (grow !== undefined && holder.works(session)) {
      const grown = (): void => {
        holder.grows.delete(identity);
        if (server.replica !== null) server.replica.sizeBytes = Math.max(server.replica.sizeBytes, grow);
        holder.send({ kind: 'grown', identity, sizeBytes: grow });
      };
      steps.push([4, `${name} grows`, grown]);
    }
  }

  #executes(holder: Holder, session: Session, at: number): void {
    const request = session.queue[at] ?? null;
    if (request === null) return;
    session.server.write(at, request.value);
    request.isExecuted = true;
    if (this.#below(3) > 0) holder.answer(session, at);
  }

  /** Steps of resync, settling, flushes and cleared bits of one replica. */
  #copies(steps: Step[], holder: Holder, session: Session): void {
    const { identity, server } = session;
    const name = `${holder.node}-s${server.serverid}`;
    const view = holder.replicas().find((one) => one.identity === identity);
    if (view === undefined || !holder.works(session)) return;
    const { flush } = holder;
    const isIdle = session.queue.every(
      (request, at) => request === null || (request.kind === 'write' && request.value === holder.blocks[at]?.write),
    );
    const isSettled = holder.blocks.every(({ settling }) => settling === 'settled');
    if (!holder.isIn(identity)) this.#resync(steps, holder, session, isIdle && isSettled && view.mayJoin);
    if (view.role === 'joining' && holder.view?.isPending === false) this.#joins(steps, holder, session, isIdle);
    if (view.role === 'member') this.#settles(steps, holder, session);
    if (flush !== null && view.counts && !flush.done.has(identity) && !session.replays.includes(true)) {
      const flushed = (): void => {
        server.flush();
        flush.done.add(identity);
        holder.settle();
      };
      steps.push([6, `${name} flushes`, flushed]);
    }
    const isAllIdle = [...holder.sessions.values()].every(
      ({ queue, replays }) => queue.every((one) => one === null) && !replays.includes(true),
    );
    const isAllFlushed = holder.blocks.every(({ write, log, settling }) => write === 0 && log === 0 && settling === 'settled');
    if (
      holder.view?.isAllInSync === true &&
      isAllIdle &&
      isAllFlushed &&
      server.replica?.map === true &&
      holder.inSync().every((one) => one.isUp)
    ) {
      const { replica } = server;
      steps.push([4, `${name} clears its map`, () => void (replica.map = false)]);
    }
  }

  /** Steps by which a replica joins. Changes may come between the flush and its answer. */
  #joins(steps: Step[], holder: Holder, session: Session, isIdle: boolean): void {
    const { identity, server } = session;
    const name = `${holder.node}-s${server.serverid}`;
    const flushed = (): void => {
      server.flush();
      session.hasJoinFlush = true;
    };
    const answered = (): void => {
      session.hasJoinFlush = false;
      session.needsFlush = false;
      holder.send({ kind: 'joined-flushed', identity });
    };
    if (session.hasJoinFlush) steps.push([6, `${name} answers the flush for its joining`, answered]);
    else if (isIdle) steps.push([6, `${name} flushes for its joining`, flushed]);
  }

  #resync(steps: Step[], holder: Holder, session: Session, mayJoin: boolean): void {
    const name = `${holder.node}-s${session.server.serverid}`;
    for (const [at, block] of holder.blocks.entries()) {
      if (session.dirty[at] !== true || session.queue[at] !== null || block.settling !== 'settled' || block.write > 0) continue;
      for (const source of holder.inSync()) {
        if (!holder.works(source) || source.replays[at] === true) continue;
        const value = source.server.replica?.cache[at] ?? 0;
        steps.push([
          8,
          `${name} gets a copy of block ${at} from s${source.server.serverid}`,
          () => void (session.queue[at] = { kind: 'copy', value, isExecuted: false }),
        ]);
      }
    }
    if (mayJoin && !session.dirty.includes(true))
      steps.push([6, `${name} has caught up`, () => holder.send({ kind: 'caught-up', identity: session.identity })]);
  }

  #settles(steps: Step[], holder: Holder, session: Session): void {
    const name = `${holder.node}-s${session.server.serverid}`;
    for (const [at, block] of holder.blocks.entries()) {
      if (block.settling === 'flushing' && block.unflushed.has(session.identity)) {
        const flushed = (): void => {
          session.server.flush();
          block.unflushed.delete(session.identity);
          if (block.unflushed.size === 0) block.settling = 'settled';
        };
        steps.push([6, `${name} flushes block ${at} that is settled`, flushed]);
      }
      if (block.settling !== 'unsettled' || block.write > 0 || holder.view?.isPending !== false) continue;
      const all = holder.inSync();
      const ready = all.every(
        (one) => one.isUp && one.server.replica?.identity === one.identity && one.queue[at] === null && one.replays[at] !== true,
      );
      if (!ready) continue;
      if (all.every(({ server }) => server.replica?.map === false))
        steps.push([6, `${name} block ${at} is settled`, () => void (block.settling = 'settled')]);
      else steps.push([6, `${name} settles block ${at}`, () => holder.copyFrom(session, at)]);
    }
  }

  ofUsers(steps: Step[], holder: Holder): void {
    const history = this.#history;
    if (holder.isDetaching) return;
    for (const [at, block] of holder.blocks.entries()) {
      const isBusy = [...holder.sessions.values()].some(({ isUp, queue }) => isUp && (queue[at]?.kind ?? 'replay') !== 'replay');
      const isFree =
        block.write === 0 && holder.reading?.block !== at && block.settling !== 'copying' && block.settling !== 'flushing' && !isBusy;
      if (isFree && history.writes.length < history.writesMax && !this.isMending)
        steps.push([4, `${holder.node} writes block ${at}`, () => this.#write(holder, at)]);
      if (holder.reading === null && block.write === 0 && history.canRead() && !this.isMending)
        steps.push([
          1,
          `${holder.node} reads block ${at}`,
          () => void (holder.reading = { block: at, operation: history.read(at, holder.term), value: -1, confirmed: new Set() }),
        ]);
    }
    const { reading } = holder;
    if (reading !== null) this.#reads(steps, holder, reading);
    if (holder.flush === null && holder.blocks.some(({ log }) => log > 0)) {
      const covers = history.writes.filter(({ state }) => state === 'answered');
      steps.push([
        3,
        `${holder.node} flushes`,
        () => void (holder.flush = { covers, logs: holder.blocks.map(({ log }) => log), done: new Set() }),
      ]);
    }
  }

  #write(holder: Holder, at: number): void {
    const block = holder.blocks[at];
    if (block === undefined) return;
    block.write = this.#history.write(at, holder.term);
    block.done.clear();
    for (const session of holder.sessions.values())
      if (session.isUp && session.replays[at] !== true) session.queue[at] = { kind: 'write', value: block.write, isExecuted: false };
  }

  #reads(steps: Step[], holder: Holder, reading: NonNullable<Holder['reading']>): void {
    const { block: at, confirmed } = reading;
    if (reading.value < 0) {
      for (const session of holder.sessions.values()) {
        if (!holder.canRead(session, at)) continue;
        const read = (): void => {
          reading.value = session.server.replica?.cache[at] ?? 0;
          confirmed.add(session.server);
          holder.settle();
        };
        steps.push([6, `${holder.node} reads block ${at} from s${session.server.serverid}`, read]);
      }
    }
    for (const server of holder.servers) {
      if (confirmed.has(server) || !holder.reaches(server) || !holder.promises(server)) continue;
      const confirm = (): void => {
        confirmed.add(server);
        holder.settle();
      };
      steps.push([4, `s${server.serverid} confirms the term of ${holder.node}`, confirm]);
    }
  }
}
