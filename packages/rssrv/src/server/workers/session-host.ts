// One client's session in a worker. The host connects the session to sockets, to storage and, through the channel, to the listener.
// Invariants: `ended` is the last message of a session. When `ended` is sent, no request is running, all writes are flushed, and the
// volumes are closed. Rules: S9.

import type { Socket } from 'node:net';
import { systemClock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { programVersion } from '@rsio/base/lib/version';
import type { Log } from '@rsio/base/log/log';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import { ownSleeps } from '@rsio/base/daemon/process-facts';
import type { ConnectionPools } from '@rsio/protocol/link/connection';
import { adoptSocket } from '@rsio/protocol/link/tcp-transport';
import type { ListAnswer } from '@rsio/protocol/wire/messages';
import { STATUS, statusOfErrno } from '@rsio/protocol/wire/status';
import type { Backend } from '../../storage/io/backend.ts';
import { openBackend } from '../../storage/open-backend.ts';
import type { BackendPorts } from '../../storage/files/backend-ports.ts';
import { StorageErrorLog } from '../../storage/storage-error-log.ts';
import { asVolumeError } from '../../storage/files/opened-file.ts';
import { PassedFiles } from '../../storage/files/volume-files.ts';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import { closeAll, type DescriptorReceiver } from '../../machine/descriptor-passing.ts';
import { BridgedBackend } from '../../jobs/images/bridged-backend.ts';
import type { Cloned } from '../../snapshots/hold-messages.ts';
import type { SnapshotReply } from '../../snapshots/reads/snapshot-asks.ts';
import { clientText, hasPath } from '../../pools/requests/client-text.ts';
import { perFile } from './file-opens.ts';
import { FAILED_OPENS_LOGGED_MAX } from '../limits.ts';
import type { ListenerAnswer, SessionRequest, FromSession, ToSession } from '../../session/channel/channel.ts';
import { withIntents } from '../../mirrors/open-intents.ts';
import { Session } from '../../session/session.ts';
import type { AdminReply } from '../../session/session-admin.ts';
import type { VoteReply } from '../../mirrors/session-votes.ts';
import type { Settled } from '../../session/ioctls.ts';
import type { RecordReply } from '../../volumes/holds/gate-records.ts';
import type { NodesReply } from '../../volumes/holds/node-asks.ts';
import type { Grant } from '../../volumes/holds/grants.ts';

type Beginning = Extract<ToSession, { type: 'begin' }>;

export interface SessionHostPorts extends Pick<BackendPorts, 'calls' | 'dropPages' | 'fileSize' | 'nowait' | 'threads'> {
  readonly log: Log;
  readonly pools: ConnectionPools;
  /** Takes the descriptors that the listener passes. */
  readonly receiver: DescriptorReceiver;
  /** Returns true if the channel to the listener is open. */
  isListenerThere(): boolean;
  send(message: FromSession): void;
}

export class SessionHost {
  private readonly session: Session;
  private readonly ports: SessionHostPorts;
  private readonly pending = new Map<number, (answer: ListenerAnswer) => void>();
  /** Maps the id of each volume with files in several pools to the pool in which an operation of the volume last found no space. */
  private readonly fullPools = new Map<string, string>();
  private readonly failedOpens: RateLimitedLog;
  private askNumber = 0;
  private ended: Promise<void> | null = null;
  /** True after `ended` was sent. */
  private isOver = false;

  /** `id` is the session id in hex. */
  constructor(id: string, { interfaces, generation, shortPools }: Beginning, ports: SessionHostPorts) {
    this.ports = ports;
    this.failedOpens = new RateLimitedLog(systemClock, ports.log, FAILED_OPENS_LOGGED_MAX);
    const { log, calls, threads, nowait, fileSize, dropPages, pools } = ports;
    this.session = new Session(Buffer.from(id, 'hex'), interfaces, generation, {
      clock: systemClock,
      log,
      pools,
      version: programVersion(),
      pathsChanged: (count) => this.tell({ type: 'paths', count }),
      quietChanged: (quietMs) => this.tell({ type: 'quiet', quietMs }),
      clientEnds: (sentence) => void this.end('E_NO_SESSION', sentence),
      list: async () => listFrom(await this.ask({ what: 'list' })),
      grant: async (request) => this.grantOr(await this.ask({ what: 'grant', request }), request.name),
      release: async (volumeId, epoch) => {
        await this.ask({ what: 'release', volumeId, epoch });
      },
      admin: async (request) => this.adminFrom(await this.ask(request)),
      vote: async (request) => this.voteFrom(await this.ask(request)),
      lost: (volumeId) => this.tell({ type: 'lost', volumeId }),
      cut: (volumeId) => this.tell({ type: 'cut', volumeId }),
      look: async (poolId, generation, hasFailed) => isMineFrom(await this.ask({ what: 'look', poolId, generation, hasFailed })),
      lookAge: async (poolId, generation) => lookAgeFrom(await this.ask({ what: 'look-age', poolId, generation })),
      held: (number) => this.tell({ type: 'held', number }),
      throttled: (report) => this.tell({ type: 'throttled', report }),
      clone: async (request) => clonedFrom(await this.ask(request)),
      askRecord: async (ask) => recordReplyFrom(await this.ask(ask)),
      askNodes: async (ask) => nodesReplyFrom(await this.ask(ask)),
      askSnapshot: async (ask) => snapshotReplyFrom(await this.ask(ask)),
      settle: async (volumeId, epoch, incarnation) => settledFrom(await this.ask({ what: 'settle', volumeId, epoch, incarnation })),
      waitsForSpace: (volumeId, isWaiting) => {
        this.tell({ type: 'space', volumeId, isWaiting, poolId: this.fullPools.get(volumeId) ?? null });
        if (!isWaiting) this.fullPools.delete(volumeId);
      },
      openBackend: async (volume) => {
        const errors = new StorageErrorLog(volume, systemClock, log);
        const onError: BackendPorts['onError'] = (operation, errno, part) => {
          if (part !== undefined && statusOfErrno(errno) === STATUS.NO_SPACE) this.fullPools.set(volume.id, part.poolId);
          errors.note(operation, errno, part);
        };
        let files: PassedFiles | null = null;
        try {
          files = await this.filesOf(volume);
          const onGuess = (path: string): void =>
            log.debug(`Volume ${volume.name}: the file system of ${path} cannot read without waiting, so that the time of reads decides`);
          const parts = { calls, threads, nowait, fileSize, dropPages, onGuess, onError, files };
          const backend = await openBackend(volume, { clock: systemClock, sleeps: ownSleeps, ...parts });
          return this.bridged(volume, await withIntents(backend, volume, { clock: systemClock, ...parts }, log));
        } catch (thrown) {
          throw this.forClient(volume, toRsError(thrown));
        } finally {
          closeAll(files?.rest() ?? []);
        }
      },
    });
    this.session.volumes.setShortPools(shortPools);
  }

  receive(message: ToSession, socket: Socket | undefined): void {
    switch (message.type) {
      case 'begin':
        return;
      case 'path':
        if (socket !== undefined) this.session.admit(adoptSocket(socket), message.admission);
        return;
      case 'end-plain-paths':
        this.session.endPlainPaths(message.sentence);
        return;
      case 'answer':
        this.answered(message);
        return;
      case 'end':
        void this.end(message.code, message.sentence);
        return;
      case 'list-changed':
        this.session.listChanged(message.interfaces, message.generation, message.grown);
        return;
      case 'short-pools':
        this.session.volumes.setShortPools(message.ids);
        return;
      case 'hold':
      case 'go-on':
        this.session.volumes.gates.receive(message);
        return;
      case 'throttle':
        this.session.volumes.throttles.receive(message);
        return;
      case 'figures':
        this.report();
        return;
      case 'lose':
        this.session.volumes.lose(message.volumeId);
        return;
      case 'revoke':
        void this.revoke(message);
    }
  }

  /** Closes the descriptors in an answer to a session that has ended. */
  static discard(message: ToSession, receiver: DescriptorReceiver): void {
    if (message.type !== 'answer' || message.answer === null) return;
    const { answer } = message;
    const tag = 'filesTag' in answer ? answer.filesTag : 'bridgeTag' in answer ? answer.bridgeTag : null;
    if (tag !== null) receiver.discard(tag);
  }

  /**
   * Answers the requests in progress, flushes, and ends the session. Resolves after `ended` has been sent. Further calls return the same
   * promise.
   */
  end(code: string, sentence: string): Promise<void> {
    this.ended ??= this.session.end(code, sentence).then(() => {
      this.failedOpens.close();
      this.tell({ type: 'ended' });
      this.isOver = true;
    });
    return this.ended;
  }

  /** Reports the session's figures. The report includes each volume that is not idle, and each volume whose figures have changed. */
  report(): void {
    this.tell({ type: 'figures', figures: this.session.figures(false) });
  }

  /** Ends the session, because the listener has exited. */
  listenerLost(): Promise<void> {
    for (const answer of this.pending.values()) answer(null);
    this.pending.clear();
    return this.end('E_SHUTTING_DOWN', 'The server has lost its listener');
  }

  /**
   * Revokes grants. Every later request on the handles of these grants gets STALE, so that the client reopens the volume. If closing a
   * handle fails, no `revoked` message is sent, because a request may still be running. Only a take-over waits for `revoked`; after a
   * time-out, the listener ends the session.
   */
  private async revoke({ number, volumeId, epoch }: Extract<ToSession, { type: 'revoke' }>): Promise<void> {
    try {
      this.tell({ type: 'revoked', number, isFlushed: await this.session.revoke(volumeId, epoch) });
    } catch (thrown) {
      this.ports.log.error(`Cannot close volume ${volumeId}: ${toRsError(thrown).message}`);
    }
  }

  /**
   * Sends a message, or drops it after `ended`. An OPEN or a report may still run when the session ends. The listener kills a process that
   * sends a message for an ended session, and this process may have sessions of other clients.
   */
  private tell(message: FromSession): void {
    if (!this.isOver) this.ports.send(message);
  }

  private ask(request: SessionRequest): Promise<ListenerAnswer> {
    const number = this.askNumber++;
    if (this.isOver || !this.ports.isListenerThere()) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.pending.set(number, resolve);
      this.tell({ type: 'ask', number, request });
    });
  }

  private answered(message: Extract<ToSession, { type: 'answer' }>): void {
    const waiting = this.pending.get(message.number);
    this.pending.delete(message.number);
    if (waiting === undefined) SessionHost.discard(message, this.ports.receiver);
    else waiting(message.answer);
  }

  /** Asks the listener for the files of a volume. Throws E_VOLUME or E_SYSTEM. */
  private async filesOf(volume: ServedVolume): Promise<PassedFiles> {
    const { receiver } = this.ports;
    if (volume.type === 'null') return new PassedFiles([]);
    const answer = await this.ask({ what: 'files', volumeId: volume.id });
    if (answer !== null && 'filesTag' in answer) {
      const files = passedFiles(receiver, answer.filesTag, volume);
      if (answer.perFile === perFile(volume)) return files;
      closeAll(files.rest());
      throw new RsError('E_VOLUME', `Volume ${volume.name} was changed while it was being opened: open it again`, { volume: volume.name });
    }
    if (answer === null || !('filesCode' in answer))
      throw new RsError('E_VOLUME', `The server ended before volume ${volume.name} was opened: try again`, { volume: volume.name });
    throw new RsError(answer.filesCode === 'E_SYSTEM' ? 'E_SYSTEM' : 'E_VOLUME', answer.sentence, { volume: volume.name });
  }

  /**
   * If images in other pools may answer failed READs of the volume, returns a backend that asks these images; otherwise returns `backend`.
   */
  private bridged({ id: volumeId, pool, layout, storage }: ServedVolume, backend: Backend): Backend {
    const { receiver, threads } = this.ports;
    if (pool === undefined || layout !== undefined || storage === undefined) return backend;
    return new BridgedBackend(backend, {
      clock: systemClock,
      threads,
      fileFor: async (positionBytes, lengthBytes) => {
        const answer = await this.ask({ what: 'bridge', volumeId, storage, positionBytes, lengthBytes });
        const tag = answer !== null && 'bridgeTag' in answer ? answer.bridgeTag : null;
        return tag === null ? null : (receiver.take(tag)[0] ?? null);
      },
      answered: () => void this.ask({ what: 'bridged', volumeId }),
    });
  }

  /** Returns the error without file paths, for the client. Logs the full error at a limited rate, because the client keeps retrying. */
  private forClient({ name, pool }: ServedVolume, error: RsError): RsError {
    if (pool === undefined || !hasPath(error.message)) return error;
    this.failedOpens.note(`Volume ${name} was not opened`, () => this.ports.log.error(error.message, { volume: name }));
    return new RsError(error.code, clientText(error.message, `Volume ${name} cannot be opened now`), error.context, error);
  }

  private adminFrom(answer: ListenerAnswer): AdminReply {
    if (answer !== null && ('part' in answer || 'adminStatus' in answer)) return answer;
    const status = this.ports.isListenerThere() ? STATUS.IO_ERROR : STATUS.SHUTTING_DOWN;
    return { adminStatus: status, sentence: 'The server could not execute the request: see its log' };
  }

  private voteFrom(answer: ListenerAnswer): VoteReply {
    if (answer !== null && ('voted' in answer || 'voteStatus' in answer)) return answer;
    const status = this.ports.isListenerThere() ? STATUS.IO_ERROR : STATUS.SHUTTING_DOWN;
    return { voteStatus: status, sentence: 'The server could not execute the request: see its log' };
  }

  private grantOr(answer: ListenerAnswer, name: string): Grant {
    if (answer !== null && 'granted' in answer) return answer;
    if (!this.ports.isListenerThere()) {
      const sentence = `The server ended before volume ${name} was opened: try again`;
      return { granted: false, status: STATUS.SHUTTING_DOWN, sentence, holders: [] };
    }
    return { granted: false, status: STATUS.IO_ERROR, sentence: 'The server could not save the hold: see its log', holders: [] };
  }
}

/** Throws E_VOLUME if this process has no descriptor left. */
function passedFiles(receiver: DescriptorReceiver, tag: number, { name, path }: ServedVolume): PassedFiles {
  try {
    return new PassedFiles(receiver.take(tag));
  } catch (thrown) {
    throw asVolumeError(name, path ?? '', thrown);
  }
}

/** A missing answer means that the listener has exited, and counts as false, because only the listener knows the owner. */
function isMineFrom(answer: ListenerAnswer): boolean {
  return answer !== null && 'isMine' in answer && answer.isMine;
}

function lookAgeFrom(answer: ListenerAnswer): number | null {
  return answer !== null && 'lookAgeMs' in answer ? answer.lookAgeMs : null;
}

function listFrom(answer: ListenerAnswer): ListAnswer {
  if (answer !== null && 'volumes' in answer) return answer;
  throw new RsError('E_SYSTEM', 'The server could not read its list: see its log');
}

function clonedFrom(answer: ListenerAnswer): Cloned | null {
  return answer !== null && 'isCloned' in answer ? answer : null;
}

function snapshotReplyFrom(answer: ListenerAnswer): SnapshotReply | null {
  const isReply = answer !== null && ('changes' in answer || 'snapshots' in answer || 'snapshotCode' in answer);
  return isReply ? answer : null;
}

function recordReplyFrom(answer: ListenerAnswer): RecordReply | null {
  return answer !== null && 'recordStatus' in answer ? answer : null;
}

function nodesReplyFrom(answer: ListenerAnswer): NodesReply | null {
  return answer !== null && 'nodesStatus' in answer ? answer : null;
}

function settledFrom(answer: ListenerAnswer): Settled {
  if (answer !== null && 'isSettled' in answer) return answer;
  throw new RsError('E_SYSTEM', 'The server could not save that the client has recovered: see its log');
}
