// Copies a snapshot to an NBD server. rssrv opens the connection, and passes it to qemu-img. Invariants: a write counts as copied only when
// it is durable on the NBD server; an interrupted copy leaves a part of the content on the NBD server, and starts over.

import net from 'node:net';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import type { CopyTarget } from '../job-record.ts';
import type { RunningJob } from '../jobs.ts';
import { withSnapshotFile } from './copied-file.ts';
import type { CopySource } from './copy-source.ts';
import { NBD_CONNECT_MS, TARGET_MAX_CHARS } from '../limits.ts';
import type { Convert, ProgramUser } from './program.ts';

const NBD_PORT = 10_809;

export interface NbdPlace {
  readonly connect: { readonly path: string } | { readonly host: string; readonly port: number };
  readonly exportName: string;
}

/** Parses an NBD URI: `nbd://HOST[:PORT]/EXPORT` or `nbd+unix:///EXPORT?socket=PATH`. Throws E_USAGE for any other text. */
export function nbdPlace(uri: string): NbdPlace {
  const wrong = (): RsError =>
    new RsError('E_USAGE', `Wrong NBD URI ${quoteText(uri)}: allowed are nbd://HOST[:PORT]/EXPORT and nbd+unix:///EXPORT?socket=PATH`);
  if (uri.length > TARGET_MAX_CHARS || !URL.canParse(uri)) throw wrong();
  const { protocol, hostname, port, pathname, searchParams, username, password, hash } = new URL(uri);
  if (username !== '' || password !== '' || hash !== '') throw wrong();
  const exportName = decoded(pathname.replace(/^\//, ''));
  const socket = searchParams.get('socket');
  if (exportName === null || exportName.includes('\0')) throw wrong();
  if (protocol === 'nbd+unix:' && hostname === '' && socket !== null && socket.startsWith('/') && searchParams.size === 1)
    return { connect: { path: socket }, exportName };
  if (protocol !== 'nbd:' || hostname === '' || searchParams.size > 0) throw wrong();
  return { connect: { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: port === '' ? NBD_PORT : Number(port) }, exportName };
}

export class ToNbd {
  private readonly clock: Clock;
  private readonly convert: Convert;
  private readonly user: () => ProgramUser | null;

  /** `user` returns the user of the program; null if the program runs as the user of this process. */
  constructor(clock: Clock, convert: Convert, user: () => ProgramUser | null) {
    this.clock = clock;
    this.convert = convert;
    this.user = user;
  }

  async run(job: RunningJob, source: CopySource, { uri }: Extract<CopyTarget, { kind: 'nbd' }>): Promise<void> {
    const place = nbdPlace(uri);
    const user = this.user();
    const target = await connectedNbd(this.clock, place, uri, 'copy the volume again');
    try {
      await withSnapshotFile(source, user, async (from, bytes) => {
        job.note({ totalBytes: bytes, doneBytes: 0 });
        const image = `driver=raw,file.driver=nbd,file.server.type=fd,file.server.str=4,file.export=${place.exportName.replaceAll(',', ',,')}`;
        const args = ['-n', '-t', 'writethrough', '--target-image-opts', '/dev/fd/3', image];
        await this.convert({
          job,
          args,
          from: ['-f', 'raw'],
          sourceText: 'the snapshot',
          source: from.fd,
          target,
          targetText: uri,
          user,
          bytes,
        });
      });
    } finally {
      target.destroy();
    }
  }
}

/**
 * Connects to an NBD server. Only the program, never this process, reads from the connection. Throws E_SYSTEM, with `again` as the remedy.
 */
export function connectedNbd(clock: Clock, { connect }: NbdPlace, uri: string, again: string): Promise<net.Socket> {
  const socket = new net.Socket();
  socket.pause();
  return new Promise((resolve, reject) => {
    const failed = (why: string): void => {
      timer.cancel();
      socket.destroy();
      reject(new RsError('E_SYSTEM', `The NBD server of ${uri} cannot be reached: ${why}; start it, and ${again}`));
    };
    const timer = clock.after(NBD_CONNECT_MS, () => failed('it does not answer'));
    socket.on('error', (error) => failed(toRsError(error).message));
    socket.connect({ ...connect }, () => {
      timer.cancel();
      socket.setKeepAlive(true);
      resolve(socket);
    });
  });
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
