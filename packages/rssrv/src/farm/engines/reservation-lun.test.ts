// The engine with persistent reservations passes the suite of all engines on a LUN of LIO, the target of Linux. npm run drill -- vm-lun has such a
// LUN in a virtual machine; elsewhere, this suite is skipped. Rule: F13.

import { spawnSync } from 'node:child_process';
import { systemClock } from '@rsio/base/lib/clock';
import { damageRecord } from '../../testing/damaged-record.ts';
import { engineSuite } from '../../testing/engine-suite.ts';
import { DISK_RECORD_MAX_BYTES } from '../limits.ts';
import { HEADER_BYTES } from './header-format.ts';
import { prepareDisk } from './prepare-disk.ts';
import { ReservationEngine } from './reservation.ts';

const OWNERS = ['big-9', 'big-8'];
/** The paths of two devices that are the same LUN, one for each of two initiators (servers). The tests destroy the content of the LUN. */
const LUN = process.env['RSIO_TEST_LUN']?.split(' ') ?? [];

engineSuite(
  'reservation engine',
  LUN.length === OWNERS.length ? null : 'needs a LUN with two initiators: npm run drill -- vm-lun',
  async () => {
    const [own = '', other = ''] = LUN;
    const must = (program: string, ...args: string[]): Buffer => {
      const { status, stdout, stderr } = spawnSync(program, args, { maxBuffer: Number.MAX_SAFE_INTEGER });
      if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr?.toString()}`);
      return stdout;
    };
    // After each change by another initiator, the disk answers one command with a unit attention.
    const settle = (): void => {
      for (let tries = 0; tries < 10; tries++)
        if (spawnSync('/usr/bin/sg_persist', ['--no-inquiry', '--in', '--read-keys', own]).status === 0) return;
    };
    const clear = (): void => {
      settle();
      const key = '0x7';
      must('/usr/bin/sg_persist', '--no-inquiry', '--out', '--register-ignore', `--param-sark=${key}`, own);
      must('/usr/bin/sg_persist', '--no-inquiry', '--out', '--clear', `--param-rk=${key}`, own);
      must('dd', 'if=/dev/zero', `of=${own}`, 'bs=1M', 'count=2', 'oflag=direct');
    };
    const forget = async (): Promise<void> => {
      clear();
      await prepareDisk(systemClock, own, OWNERS, null);
    };
    await forget();
    return {
      lacks: ['hang'],
      recordMaxBytes: DISK_RECORD_MAX_BYTES,
      engine: (server) =>
        new ReservationEngine({ clock: systemClock, random: Math.random, disk: LUN[OWNERS.indexOf(server)] ?? other, server }),
      damage: async (text) => damageRecord(own, text),
      forget,
      read: async (positionBytes, lengthBytes) => {
        const block = (HEADER_BYTES + positionBytes) / lengthBytes;
        return must('dd', `if=${other}`, `bs=${lengthBytes}`, `skip=${block}`, 'count=1', 'iflag=direct');
      },
      hang: () => undefined,
      resume: () => undefined,
      remove: async () => clear(),
    };
  },
);
