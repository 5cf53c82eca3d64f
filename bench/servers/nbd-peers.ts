// The NBD servers of the comparison, each with its usual access to a file, and the C server that is the upper limit. All servers use the
// page cache.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toRsError } from '@rsio/base/lib/errors';
import { freePort } from '../child.ts';
import { nativeProgram } from '../native/compile.ts';
import type { ServerId } from '../workload.ts';
import { Daemon } from './daemon.ts';
import { CONNECTIONS, EXPORT, HOST, type NbdCommand, nbdkitCommand, qemuNbdCommand } from './nbd-commands.ts';
import { type Maker, runningServer, type Server, type Setting, startListening } from './server.ts';

/** A server that needs only a command line; `command` gets a free port. */
function maker(
  id: ServerId,
  needs: Maker['needs'],
  title: string,
  exportName: string,
  command: (setting: Setting, port: number) => NbdCommand,
): Maker {
  return { id, needs, start: (setting) => start(id, title, exportName, setting, command) };
}

async function start(
  id: ServerId,
  title: string,
  exportName: string,
  setting: Setting,
  command: (setting: Setting, port: number) => NbdCommand,
): Promise<Server> {
  const port = await freePort(HOST);
  const child = await startListening(id, setting.core, command(setting, port), HOST, port);
  return runningServer(id, title, child, { host: HOST, port, volume: { kind: 'nbd', export: exportName } });
}

const nbdkit = maker('nbdkit', { program: 'nbdkit', debianPackage: 'nbdkit' }, 'nbdkit file', '', ({ file }, port) =>
  nbdkitCommand(file, port),
);

const nbdServer: Maker = {
  id: 'nbd-server',
  needs: { program: 'nbd-server', debianPackage: 'nbd-server' },
  async start({ directory, file, core }) {
    const port = await freePort(HOST);
    const config = join(directory, 'nbd-server.conf');
    const lines = ['[generic]', `listenaddr = ${HOST}`, `port = ${port}`, `[${EXPORT}]`, `exportname = ${file}`, ''];
    writeFileSync(config, lines.join('\n'));
    const daemon = await Daemon.start(core, ['nbd-server', '-C', config], join(directory, 'nbd-server.pid'), HOST, port);
    return runningServer('nbd-server', 'nbd-server', daemon, { host: HOST, port, volume: { kind: 'nbd', export: EXPORT } });
  },
};

const qemuNbd = maker('qemu-nbd', { program: 'qemu-nbd', debianPackage: 'qemu-utils' }, 'qemu-nbd threads', EXPORT, ({ file }, port) =>
  qemuNbdCommand(file, port),
);

function storageDaemon(aio: 'io_uring' | 'threads'): (setting: Setting, port: number) => NbdCommand {
  return ({ file }, port) => [
    'qemu-storage-daemon',
    '--blockdev',
    `driver=file,node-name=file0,filename=${file},aio=${aio},cache.direct=off`,
    '--nbd-server',
    `addr.type=inet,addr.host=${HOST},addr.port=${port},max-connections=${CONNECTIONS}`,
    '--export',
    `type=nbd,id=export0,node-name=file0,name=${EXPORT},writable=on`,
  ];
}

const QSD_NEEDS = { program: 'qemu-storage-daemon', debianPackage: 'qemu-system-common' };

const qemuStorageDaemon: Maker = {
  id: 'qemu-storage-daemon',
  needs: QSD_NEEDS,
  async start(setting) {
    try {
      return await start('qemu-storage-daemon', 'qemu-storage-daemon io_uring', EXPORT, setting, storageDaemon('io_uring'));
    } catch (error) {
      const title = `qemu-storage-daemon threads (no io_uring here: ${toRsError(error).message.split('\n', 1)[0]})`;
      return start('qemu-storage-daemon', title, EXPORT, setting, storageDaemon('threads'));
    }
  },
};

const epollServer = maker('epoll-server', null, 'epoll server in C', '', ({ file }, port) => [
  nativeProgram('epoll-server'),
  HOST,
  String(port),
  file,
]);

export const NBD_MAKERS: readonly Maker[] = [nbdkit, nbdServer, qemuNbd, qemuStorageDaemon, epollServer];
