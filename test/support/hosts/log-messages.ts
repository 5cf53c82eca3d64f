// The messages of a daemon's log, for tests that read the log repeatedly: each read covers only the bytes that were appended since the
// previous read. If another file has replaced the log, or the log has become shorter, the next read begins at its start. Invariant: only
// complete lines count.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const NEWLINE = 0x0a;

export class LogMessages {
  private readonly file: string;
  private inode = 0;
  /** Number of bytes that were read so far. These bytes end with a complete line. */
  private readBytes = 0;
  private messages = '';

  constructor(file: string) {
    this.file = file;
  }

  /** All messages so far, one per line, without time and level. Returns '' if there is no log. */
  text(): string {
    let descriptor: number;
    try {
      descriptor = openSync(this.file, 'r');
    } catch {
      return '';
    }
    try {
      const { ino, size } = fstatSync(descriptor);
      if (ino !== this.inode || size < this.readBytes) this.begin(ino);
      if (size > this.readBytes) this.take(descriptor, size - this.readBytes);
    } finally {
      closeSync(descriptor);
    }
    return this.messages;
  }

  private begin(inode: number): void {
    this.inode = inode;
    this.readBytes = 0;
    this.messages = '';
  }

  private take(descriptor: number, lengthBytes: number): void {
    const bytes = Buffer.alloc(lengthBytes);
    const read = readSync(descriptor, bytes, 0, lengthBytes, this.readBytes);
    const wholeBytes = bytes.subarray(0, read).lastIndexOf(NEWLINE) + 1;
    this.readBytes += wholeBytes;
    const lines = bytes.toString('utf8', 0, wholeBytes).split('\n');
    for (const line of lines) if (line !== '') this.messages += `${this.messages === '' ? '' : '\n'}${messageOf(line)}`;
  }
}

function messageOf(line: string): string {
  const record: unknown = JSON.parse(line);
  return typeof record === 'object' && record !== null && 'msg' in record ? String(record.msg) : line;
}
