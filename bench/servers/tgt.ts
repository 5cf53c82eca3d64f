// tgt, the SCSI target in user space, over iSCSI: a daemon with its own control socket and one target with the data file. For the sessions
// see load/open-iscsi.ts.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { RsError } from '@rsio/base/lib/errors';
import { freePort } from '../child.ts';
import { type Maker, runningServer, startListening } from './server.ts';

const HOST = '127.0.0.1';
const TARGET = 'iqn.2026-11.bench:data';
/** Size of the data that the generator sends with a command. */
const IMMEDIATE_BYTES = String(1024 * 1024);

export const TGT_MAKER: Maker = {
  id: 'tgt',
  needs: { program: 'tgtd', debianPackage: 'tgt' },
  async start({ directory, file, core }) {
    const port = await freePort(HOST);
    // The daemon gets its own control socket, so that it does not collide with other daemons of this machine.
    const control = `TGT_IPC_SOCKET=${join(directory, 'tgt')}`;
    const command = ['env', control, 'tgtd', '-f', '--iscsi', `portal=${HOST}:${port}`] as const;
    const child = await startListening('tgtd', core, command, HOST, port);
    try {
      const target = ['--lld', 'iscsi', '--tid', '1'];
      tgtadm(control, ['--op', 'new', '--mode', 'target', ...target, '-T', TARGET]);
      tgtadm(control, ['--op', 'new', '--mode', 'logicalunit', ...target, '--lun', '1', '-b', file]);
      for (const name of ['MaxRecvDataSegmentLength', 'FirstBurstLength', 'MaxBurstLength']) {
        tgtadm(control, ['--op', 'update', '--mode', 'target', ...target, '-n', name, '-v', IMMEDIATE_BYTES]);
      }
      tgtadm(control, ['--op', 'bind', '--mode', 'target', ...target, '-I', 'ALL']);
    } catch (error) {
      await child.stop();
      throw error;
    }
    return runningServer('tgt', 'tgt (iSCSI)', child, { host: HOST, port, volume: { kind: 'iscsi', target: TARGET } });
  },
};

function tgtadm(control: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync('env', [control, 'tgtadm', ...args], { encoding: 'utf8' });
  if (status !== 0) throw new RsError('E_SYSTEM', `tgtadm ${args.join(' ')}: ${(error?.message ?? stderr).trim()}`);
}
