// The process of one client's session: the session over real sockets and storage, and the channel to the listener. It ends when it is
// told to (with everything flushed), or when the channel closes, because without its listener it may not go on (S10).

import type { Socket } from 'node:net';
import { BufferPool } from '@rsio/protocol/lib/buffer-pool';
import { systemClock } from '@rsio/protocol/lib/clock';
import { RsError } from '@rsio/protocol/lib/errors';
import { copyToStderr, type DaemonLog, type LogLevel, openLog } from '@rsio/protocol/lib/log';
import { WINDOW_BYTES, WORKER_DRAIN_TIMEOUT_MS, WORKER_LAST_WORDS_MS } from '@rsio/protocol/limits';
import { adoptSocket } from '@rsio/protocol/trunk/tcp-transport';
import { OutputPool } from '@rsio/protocol/wire/encoder';
import type { ListAnswer } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { openBackend } from './backends/open-backend.ts';
import { RangeHelper } from './backends/range-helper.ts';
import { StorageErrors } from './backends/storage-errors.ts';
import type { Asked, FromWorker, ToWorker } from './channel.ts';
import { Session } from './session.ts';
import type { Grant } from './session-volumes.ts';

type Told = Extract<ToWorker, { type: 'told' }>['answer'];

class WorkerProcess {
  private session: Session | null = null;
  private log: DaemonLog | null = null;
  private readonly helper = new RangeHelper({
    clock: systemClock,
    onLost: (reason) => this.log?.warn(`No holes and no fast zeroing from now on: ${reason}`),
  });
  private readonly asked = new Map<number, (answer: Told) => void>();
  private askNumber = 0;

  hear(message: ToWorker, socket: Socket | undefined): void {
    switch (message.type) {
      case 'begin':
        this.begin(message);
        return;
      case 'path':
        if (socket !== undefined) this.session?.admit(adoptSocket(socket), message.admission);
        return;
      case 'told':
        this.asked.get(message.number)?.(message.answer);
        this.asked.delete(message.number);
        return;
      case 'end':
        void this.end(message.code, message.sentence);
        return;
      case 'list-changed':
        this.session?.listChanged(message.interfaces, message.generation, message.grown);
        return;
      case 'reopen-log':
        this.log?.reopen();
        this.log?.setLevel(message.level as LogLevel);
    }
  }

  /** Nobody is there any more to be answered: what was begun ends and is flushed, nothing new starts. */
  async end(code: string, sentence: string): Promise<void> {
    await this.session?.end(code, sentence);
    this.say({ type: 'ended' });
    systemClock.after(WORKER_LAST_WORDS_MS, () => process.exit(0));
  }

  /** Without its listener it may not go on (S10): nothing asked of it is answered any more, and storage that hangs is not waited for. */
  orphaned(): void {
    for (const told of this.asked.values()) told(null);
    this.asked.clear();
    systemClock.after(WORKER_DRAIN_TIMEOUT_MS, () => process.exit(1));
    void this.end('E_SHUTTING_DOWN', 'The server has lost its listener');
  }

  say(message: FromWorker): void {
    if (process.connected) process.send?.(message);
  }

  private begin(message: Extract<ToWorker, { type: 'begin' }>): void {
    const { file, node, level, copy } = message.log;
    const log = openLog({ file, node, level: level as LogLevel, copy: copy ? copyToStderr : undefined });
    this.log = log;
    this.session = new Session(Buffer.from(message.session, 'hex'), message.interfaces, message.generation, {
      clock: systemClock,
      log,
      pools: { bodies: new BufferPool(WINDOW_BYTES), outputs: new OutputPool() },
      pathsChanged: (count) => this.say({ type: 'paths', count }),
      clientEnds: (sentence) => void this.end('E_NO_SESSION', sentence),
      list: async () => listFrom(await this.ask({ what: 'list' })),
      grant: async (request) => grantOr(await this.ask({ what: 'grant', request })),
      release: async (volumeId) => {
        await this.ask({ what: 'release', volumeId });
      },
      openBackend: (volume) => {
        const errors = new StorageErrors(volume, systemClock, log);
        return openBackend(volume, {
          clock: systemClock,
          helper: this.helper,
          onError: (operation, errno) => errors.note(operation, errno),
        });
      },
    });
  }

  private ask(asked: Asked): Promise<Told> {
    const number = this.askNumber++;
    if (!process.connected) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.asked.set(number, resolve);
      this.say({ type: 'ask', number, asked });
    });
  }
}

function listFrom(told: Told): ListAnswer {
  if (told !== null && 'volumes' in told) return told;
  throw new RsError('E_SYSTEM', 'The server could not read its list: see its log');
}

function grantOr(told: Told): Grant {
  if (told !== null && 'granted' in told) return told;
  return { granted: false, status: STATUS.IO_ERROR, sentence: 'The server could not keep the holder: see its log', holders: [] };
}

const worker = new WorkerProcess();
process.on('message', (message, handle) => worker.hear(message as ToWorker, handle as Socket | undefined));
process.on('disconnect', () => worker.orphaned());
// The listener decides: a terminal's Ctrl-C reaches the whole group.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
worker.say({ type: 'ready' });
