// One NBD connection over a transport and a volume in memory, from its first byte: options, requests, and arbitrary other bytes of a local
// program. Oracle: no exception. Requests to the volume are valid, and the output is bounded. The connection ends once. After the end of
// the connection, no buffer is lent and the volume has no request.

import { NBD_BATCH_BYTES, NBD_BYTES_OUT_MAX, NBD_REQUESTS_OUT_MAX } from '@rsio/rsiod/frontends/limits';
import { DataBuffers } from '@rsio/rsiod/frontends/streams/data-buffers';
import { MemoryBudget } from '@rsio/rsiod/frontends/streams/memory-budget';
import { NbdConnection } from '@rsio/rsiod/frontends/nbd/nbd-connection';
import { Submissions } from '@rsio/rsiod/frontends/nbd/nbd-transmission';
import { BatchPool } from '@rsio/rsiod/frontends/streams/transport';
import { MemoryTransport } from '@rsio/rsiod/frontends/nbd/testing/memory-transport';
import { contexts, named, optionBytes, requestBytes, u16, u32 } from '@rsio/rsiod/frontends/nbd/testing/nbd-client';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { expectThat, type FuzzTarget } from '../../fixtures/fuzz-target.ts';
import { edge } from '../../makers/message-maker.ts';
import { mutatedScript, scriptPieces, type Step, step } from '../../makers/script.ts';
import { playFrontend, VOLUME_BYTES, type ScriptedVolume } from '../../fixtures/scripted-volume.ts';

const KIND = { BYTES: 0, VOLUME: 1, FRONTEND: 2, SENT: 3, FAIL: 4, END: 5, CLOSE: 6, DRAIN: 7 } as const;
const KINDS = 8;
const ROUNDS_MAX = 1000;
const OPTION = { EXPORT_NAME: 1, ABORT: 2, LIST: 3, INFO: 6, GO: 7, STRUCTURED: 8, LIST_CONTEXTS: 9, SET_CONTEXTS: 10 } as const;

/** Limit of the memory for data. This limit is so small that inputs often reach it. */
const BUDGET = { limitBytes: 4 * DataBuffers.memoryBytes(8192), reserveBytes: DataBuffers.memoryBytes(8192), smallBytes: 4096 };

class Scene {
  readonly transport = new MemoryTransport();
  readonly data = new DataBuffers();
  readonly batches = new BatchPool();
  readonly budget = new MemoryBudget(BUDGET, (fire) => this.frontendTurns.push(fire));
  readonly connection: NbdConnection;
  finished = 0;
  private readonly storage: ScriptedVolume;
  private readonly frontendTurns: (() => void)[] = [];
  private mistake: unknown = null;
  private isClosed = false;
  private hasEnded = false;

  constructor(storage: ScriptedVolume) {
    this.storage = storage;
    const schedule = (fire: () => void): void => void this.frontendTurns.push(fire);
    const pools = { submissions: new Submissions(schedule), data: this.data, batches: this.batches, budget: this.budget, schedule };
    this.connection = new NbdConnection(this.transport, { list: () => [storage.volume] }, pools, {
      serving: () => undefined,
      elsewhere: () => undefined,
      broken: () => undefined,
      failed: (thrown) => {
        this.mistake = thrown;
      },
      finished: () => void this.finished++,
    });
    this.connection.start();
    this.transport.deliver();
  }

  take({ kind, arg, bytes }: Step): void {
    switch (kind % KINDS) {
      case KIND.BYTES:
        this.receive(bytes);
        break;
      case KIND.VOLUME:
        this.storage.answerSome(arg);
        break;
      case KIND.FRONTEND:
        this.turn();
        break;
      case KIND.SENT:
        this.transport.deliver(1 + (arg % 8));
        break;
      case KIND.FAIL:
        this.storage.failNext(arg);
        break;
      case KIND.END:
        if (!this.hasEnded && !this.isClosed) this.connection.inputEnd();
        this.hasEnded = true;
        break;
      case KIND.DRAIN:
        if (arg % 8 === 0) this.connection.drain();
        break;
      default:
        if (arg % 8 === 0) this.close();
    }
    this.follow();
    this.judge();
  }

  /** Disconnects the client, and ends all requests in flight. */
  finish(): void {
    for (let round = 0; round < ROUNDS_MAX && this.isBusy; round++) {
      this.storage.answerAll();
      this.turn();
      this.transport.deliver();
      this.follow();
    }
    this.close();
    for (let round = 0; round < ROUNDS_MAX && (this.storage.isWaiting || this.frontendTurns.length > 0); round++) {
      this.storage.answerAll();
      this.turn();
    }
    expectThat(this.finished === 1, `the connection has finished ${this.finished} times`);
    const { underWay } = this.storage.volume;
    expectThat(underWay === 0, `${underWay} requests are in the volume after the end`);
    expectThat(this.budget.usedBytes === 0 && this.budget.waits === 0, `${this.budget.usedBytes} bytes of the budget are not back`);
    expectThat(this.data.inUse === 0 && this.batches.inUse === 0, `${this.data.inUse} buffers and ${this.batches.inUse} batches are lent`);
  }

  private get isBusy(): boolean {
    return this.storage.isWaiting || this.frontendTurns.length + this.transport.waitingBytes > 0;
  }

  private receive(bytes: Buffer): void {
    if (this.isClosed || this.hasEnded || this.transport.paused || bytes.length === 0) return;
    const lent = Buffer.from(bytes);
    this.connection.receive(lent, 0, lent.length);
    lent.fill(0xdd);
  }

  private turn(): void {
    for (const fire of this.frontendTurns.splice(0)) fire();
  }

  /** Ends the connection as a socket would, if the frontend has asked for the end. */
  private follow(): void {
    if (this.transport.destroyed || (this.transport.ended && this.transport.waitingBytes === 0)) this.close();
  }

  private close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.transport.failWrites();
    this.connection.closed();
  }

  private judge(): void {
    this.transport.left.length = 0;
    if (this.mistake !== null) throw new Error('Finding: a mistake of ours', { cause: this.mistake });
    expectThat(this.transport.waitingBytes <= NBD_BYTES_OUT_MAX + 2 * NBD_BATCH_BYTES, `${this.transport.waitingBytes} bytes wait`);
    const { underWay } = this.storage.volume;
    expectThat(underWay <= NBD_REQUESTS_OUT_MAX, `${underWay} requests are in the volume`);
  }
}

function run(input: Buffer): boolean {
  return playFrontend(input, (storage) => new Scene(storage));
}

function option(random: SeededRandom): Buffer {
  const name = random.pick(['oracle', 'oracle', 'osl/oracle', '', 'nothing']);
  switch (
    random.pick([OPTION.ABORT, OPTION.LIST, OPTION.INFO, OPTION.INFO, OPTION.STRUCTURED, OPTION.LIST_CONTEXTS, OPTION.SET_CONTEXTS, 99])
  ) {
    case OPTION.ABORT:
      return random.chance(0.2) ? optionBytes(OPTION.ABORT) : optionBytes(OPTION.LIST);
    case OPTION.INFO:
      return optionBytes(OPTION.INFO, named(name, random.pick([[], [3], [1, 2, 3, 9]])));
    case OPTION.STRUCTURED:
      return optionBytes(OPTION.STRUCTURED);
    case OPTION.LIST_CONTEXTS:
      return optionBytes(OPTION.LIST_CONTEXTS, contexts(name, random.pick([[], ['base:'], ['base:allocation', 'x:y']])));
    case OPTION.SET_CONTEXTS:
      return optionBytes(OPTION.SET_CONTEXTS, contexts('oracle', ['base:allocation']));
    case OPTION.LIST:
      return optionBytes(OPTION.LIST);
    default:
      return optionBytes(random.int(0, 12), u16(1, 2));
  }
}

function request(random: SeededRandom): Buffer {
  const type = random.pick([0, 0, 1, 1, 3, 4, 6, 7, 7, random.int(0, 9)]);
  const anyLength = type === 1 ? 8191 : 0xffffffff;
  const length = random.pick([512, 4096, 4096, 8192, 1, edge(random, 0, VOLUME_BYTES), 32 * 1024 * 1024, anyLength]);
  const offset = random.pick([0, 512, 4096, VOLUME_BYTES - 4096, VOLUME_BYTES, random.int(0, VOLUME_BYTES), 2n ** 63n, 2n ** 64n - 1n]);
  const isWrite = type === 1;
  const sent = isWrite && length <= VOLUME_BYTES ? { data: Buffer.alloc(length, 5) } : {};
  const flags = random.chance(0.8) ? 0 : random.pick([1, 2, 8, 16, 0xffff]);
  return requestBytes({ type, cookie: random.int(0, 99), offset, length, flags, ...sent });
}

function make(random: SeededRandom): Buffer {
  const options = random.pick([0, 0, 1, 2, 3]);
  const going = random.chance(0.8)
    ? optionBytes(OPTION.GO, named('oracle', random.pick([[], [3]])))
    : optionBytes(OPTION.EXPORT_NAME, Buffer.from('oracle'));
  const one = (): Step => {
    if (random.chance(0.55))
      return step(KIND.BYTES, options, Buffer.concat(Array.from({ length: random.int(1, 5) }, () => request(random))));
    return step(
      random.pick([
        KIND.VOLUME,
        KIND.VOLUME,
        KIND.FRONTEND,
        KIND.FRONTEND,
        KIND.SENT,
        KIND.SENT,
        KIND.FAIL,
        KIND.END,
        KIND.CLOSE,
        KIND.DRAIN,
      ]),
      random.int(0, 255),
    );
  };
  // BLOCK_STATUS is answered only after a context was chosen.
  const chosen = random.chance(0.5)
    ? [optionBytes(OPTION.STRUCTURED), optionBytes(OPTION.SET_CONTEXTS, contexts('oracle', ['base:allocation']))]
    : [];
  const haggling = Array.from({ length: random.int(0, 3) }, () => option(random));
  const flags = random.chance(0.9) ? 3 : random.int(0, 255);
  const opening = [u32(flags), ...haggling, ...chosen, going].flatMap((bytes) => [step(KIND.BYTES, options, bytes), step(KIND.SENT, 7)]);
  return mutatedScript(random, [...opening, ...Array.from({ length: random.int(1, 16) }, one)], one);
}

export const nbdFrontend: FuzzTarget = {
  name: 'nbd-frontend',
  deep: 'the volume was asked for something',
  fixedSeeds: 250,
  make,
  run,
  pieces: scriptPieces,
};
