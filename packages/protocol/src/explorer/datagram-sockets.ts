// An abstraction of UDP sockets: the programs use node:dgram, and tests use a network in memory. Invariant: a socket that is closed or has
// failed no longer calls its handler.

import dgram from 'node:dgram';
import { isIPv4 } from 'node:net';
import { toRsError } from '@rsio/base/lib/errors';
import { DATAGRAM_BUFFER_BYTES } from './limits.ts';

export interface DatagramPeer {
  readonly address: string;
  readonly port: number;
}

export interface DatagramSocket {
  /** Calls `failed` if the kernel did not send the datagram, for example because it is too large. */
  send(datagram: Buffer, to: DatagramPeer, failed: (reason: string) => void): void;
  close(): void;
}

export interface DatagramEvents {
  /** Called with each datagram that arrives. The handler may keep `datagram`, and may change it. */
  onDatagram(datagram: Buffer, from: DatagramPeer): void;
  onFailed(reason: string): void;
}

export interface DatagramSockets {
  /**
   * Opens a socket on an address, which may be a broadcast address. Port 0 selects any free port; with any other port, other sockets may
   * share the address and port. The socket may send to broadcast addresses. Rejects with E_SYSTEM (errno in the context) if the port is
   * taken, or if this machine does not have the address.
   */
  open(at: DatagramPeer, handler: DatagramEvents): Promise<DatagramSocket>;
}

export const udpSockets: DatagramSockets = {
  open(at, handler) {
    const type = isIPv4(at.address) ? 'udp4' : 'udp6';
    // With port 0, sharing would let the kernel choose a port that another exploration uses.
    const socket = dgram.createSocket({ type, reuseAddr: at.port !== 0, recvBufferSize: DATAGRAM_BUFFER_BYTES });
    return new Promise((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close();
        reject(toRsError(error));
      });
      socket.bind({ address: at.address, port: at.port }, () => {
        socket.removeAllListeners('error');
        let isClosed = false;
        const close = (): void => {
          if (!isClosed) socket.close();
          isClosed = true;
        };
        socket.on('error', (error) => {
          close();
          handler.onFailed(error.message);
        });
        socket.on('message', (datagram, { address, port }) => handler.onDatagram(datagram, { address, port }));
        socket.setBroadcast(true);
        resolve({
          send: (datagram, to, failed) => {
            if (isClosed) return;
            socket.send(datagram, to.port, to.address, (error) => {
              if (error !== null) failed(error.message);
            });
          },
          close,
        });
      });
    });
  },
};
