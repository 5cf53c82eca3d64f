// The process of a peer: takes the messages of the listener, and answers them. Invariant: nothing is done before `begin`, and each call and
// each pull is answered once. The bounds of calls and pulls hold here, too, although the listener keeps them.

import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { snapshotName } from '@rsio/base/lib/volume-name';
import type { Connector } from '@rsio/protocol/link/path-transport';
import { CALLS_PER_PEER_MAX, PEER_ANSWER_MAX_CHARS, PULLS_PER_PEER_MAX } from '../../limits.ts';
import { type FromPeer, sentError, type ToPeer } from '../messages.ts';
import { PeerConnection } from './peer-connection.ts';
import { SnapshotPull } from './pull.ts';
import { PulledFile, type Punch } from './pulled-file.ts';

export interface PeerChildPorts {
  readonly clock: Clock;
  readonly connector: Connector;
  readonly punch: Punch;
  send(message: FromPeer): void;
  /** Ends the process, after the messages so far were sent. */
  leave(): void;
}

export class PeerChild {
  private readonly ports: PeerChildPorts;
  private connection: PeerConnection | null = null;
  private calls = 0;
  /** The pulls by number; null while the file of the pull is opened. */
  private readonly pulls = new Map<number, SnapshotPull | null>();

  constructor(ports: PeerChildPorts) {
    this.ports = ports;
  }

  receive(message: ToPeer): void {
    if (message.type === 'begin') {
      if (this.connection !== null) throw new RsError('E_PROTOCOL', 'The listener began twice');
      this.connection = new PeerConnection(message, { ...this.ports, changed: (state) => this.ports.send({ type: 'state', ...state }) });
      this.connection.start();
      return;
    }
    const { connection } = this;
    if (connection === null) throw new RsError('E_PROTOCOL', `The listener sent ${message.type} before it began`);
    switch (message.type) {
      case 'call':
        void this.call(connection, message);
        return;
      case 'pull':
        void this.pull(connection, message);
        return;
      case 'cancel':
        this.cancel(message.number);
        return;
      case 'release':
        this.release(connection, message);
        return;
      case 'end':
        for (const number of [...this.pulls.keys()]) this.cancel(number);
        connection.end('This server ends the connection', () => this.ports.leave());
    }
  }

  private async call(connection: PeerConnection, { number, method, params, withinMs }: Extract<ToPeer, { type: 'call' }>): Promise<void> {
    this.calls++;
    try {
      if (this.calls > CALLS_PER_PEER_MAX)
        throw new RsError('E_LIMIT', `${CALLS_PER_PEER_MAX} calls of the peer have not ended: try again later`);
      const result = JSON.stringify(await connection.call(method, params, withinMs));
      if (result.length > PEER_ANSWER_MAX_CHARS)
        throw new RsError(
          'E_LIMIT',
          `The answer to ${method} has ${result.length} characters, more than ${PEER_ANSWER_MAX_CHARS}: ask for less`,
        );
      this.ports.send({ type: 'answer', number, result, error: null });
    } catch (thrown) {
      this.ports.send({ type: 'answer', number, result: null, error: sentError(thrown) });
    } finally {
      this.calls--;
    }
  }

  private async pull(connection: PeerConnection, { number, pull: order }: Extract<ToPeer, { type: 'pull' }>): Promise<void> {
    const ended = (error: RsError | null): void => {
      this.pulls.delete(number);
      this.ports.send({ type: 'ended', number, error: error === null ? null : sentError(error) });
    };
    const released = (isReleased: boolean): void => this.ports.send({ type: 'released', number, isReleased });
    let file: PulledFile | null = null;
    try {
      if (this.pulls.size >= PULLS_PER_PEER_MAX)
        throw new RsError('E_LIMIT', `${PULLS_PER_PEER_MAX} copies from the peer are under way: try again later`);
      this.pulls.set(number, null);
      file = await PulledFile.open(order.file, order.sizeBytes, this.ports.punch);
      if (!this.pulls.has(number)) throw cancelled();
      const { volume, snapshot } = order;
      const place = { name: snapshotName(volume.name, snapshot.name), universe: volume.universe };
      const source = connection.snapshot(place, { id: snapshot.id, sizeBytes: order.sizeBytes }, released);
      const pull = new SnapshotPull(order, source, file, this.ports.clock, {
        progress: (progress) => this.ports.send({ type: 'progress', number, ...progress }),
        ended,
      });
      this.pulls.set(number, pull);
      pull.start();
    } catch (thrown) {
      await file?.close();
      ended(toRsError(thrown));
      // Nothing was opened by this pull.
      released(true);
    }
  }

  private release(connection: PeerConnection, { number, name, universe }: Extract<ToPeer, { type: 'release' }>): void {
    const released = (isReleased: boolean): void => this.ports.send({ type: 'released', number, isReleased });
    try {
      const snapshot = connection.snapshot({ name, universe }, null, released);
      snapshot.open({ opened: () => snapshot.close(), failed: () => snapshot.close() });
    } catch {
      // A pull uses the snapshot, and closes it.
      released(false);
    }
  }

  private cancel(number: number): void {
    const pull = this.pulls.get(number);
    if (pull === null) this.pulls.delete(number);
    else pull?.end(cancelled());
  }
}

function cancelled(): RsError {
  return new RsError('E_RESET', 'The copy was cancelled: it goes on from its position when it is ordered again');
}
