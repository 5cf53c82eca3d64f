// The command lines of NBD servers that offer a file on one port of the loopback interface. Each comparison adds the programs, sections and
// options that only it needs.

export const HOST = '127.0.0.1';
/** Name under which qemu-nbd offers the file. */
export const EXPORT = 'data';
/** More connections than any row has. */
export const CONNECTIONS = '128';

export type NbdCommand = readonly [string, ...string[]];

export function nbdkitCommand(file: string, port: number, ...options: readonly string[]): NbdCommand {
  return ['nbdkit', '--exit-with-parent', '-f', '-i', HOST, '-p', String(port), ...options, 'file', file];
}

export function qemuNbdCommand(file: string, port: number, ...options: readonly string[]): NbdCommand {
  const fixed = ['--persistent', '-f', 'raw', '--cache=writeback', '--aio=threads', '-e', CONNECTIONS, '-b', HOST];
  return ['qemu-nbd', ...fixed, '-p', String(port), '-x', EXPORT, ...options, file];
}
