// UDP as a port: sockets that send and hear datagrams. node:dgram in the product, a network in memory in tests.
// Knows nothing of discovery datagrams. Invariant: a socket that is closed, or has failed, calls its handler no more.

import dgram from 'node:dgram';
import { isIPv4 } from 'node:net';
import { toRsError } from '@rsio/common/lib/errors';
import { DATAGRAM_BUFFER_BYTES } from './limits.ts';

export interface DatagramPeer {
  readonly address: string;
  readonly port: number;
}

export interface DatagramSocket {
  /** `failed`: the machine would not send it (no route, too large); it says nothing of whether it arrives. */
  send(datagram: Buffer, to: DatagramPeer, failed: (reason: string) => void): void;
  close(): void;
}

export interface DatagramEvents {
  /** The bytes belong to the handler. */
  onDatagram(datagram: Buffer, from: DatagramPeer): void;
  /** The socket is of no use any more. */
  onFailed(reason: string): void;
}

export interface DatagramSockets {
  /**
   * A socket on an address, which may be a broadcast address; port 0: any that is free. Others may have the same address and port, when it
   * was given. May send to broadcast addresses. Rejects with E_SYSTEM (errno in the context) when the machine does not have the address, or the port is taken.
   */
  open(at: DatagramPeer, handler: DatagramEvents): Promise<DatagramSocket>;
}

export const udpSockets: DatagramSockets = {
  open(at, handler) {
    const type = isIPv4(at.address) ? 'udp4' : 'udp6';
    // Where any port will do, sharing would let the kernel choose one that another exploration has.
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
