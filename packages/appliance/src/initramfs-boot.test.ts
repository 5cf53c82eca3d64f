// Tests how the boot of the appliance finds its partitions, with the shell script itself and stand-ins for the programs of the initrd: only the
// ids that the boot loader gives count, ids of the image are replaced, and a name counts only if it is there once.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import { needPrograms } from '@rsio/base/testing/needs';
import { useApplianceScene } from './testing/appliance-scene.ts';

const scene = useApplianceScene('proc/sys/kernel/random', 'run/rsio-appliance', 'sys/class/block', 'bin');
const SCRIPT = readFileSync(new URL('../../../packaging/appliance/initramfs-boot', import.meta.url), 'utf8');
const IMAGE_ID = '52534f49-0000-4000-8000-000000000003';
const RANDOM_ID = '0b6a1e4f-7c21-4c58-9d3b-2f1c9a527a0e';
const OTHER_ID = '11111111-7c21-4c58-9d3b-2f1c9a527a0e';

beforeEach((context) => {
  needPrograms(context, 'sed', 'grep');
  writeFileSync(`${scene.root}/proc/sys/kernel/random/uuid`, `${RANDOM_ID}\n`);
  mkdirSync(`${scene.root}/sys/class/block/sda/sda3`, { recursive: true });
});

type Partition = readonly [device: string, label: string, id: string];

/** Runs `own_partition a`. `late`: partitions that come later. Returns what it said, and the file that it wrote. */
function found(commandLine: string, disks: readonly Partition[], late: readonly Partition[] = []): string {
  const at = (name: string): string => `${scene.root}/${name}`;
  writeFileSync(at('proc/cmdline'), commandLine);
  writeFileSync(at('disks'), disks.map((one) => `${one.join(' ')}\n`).join(''));
  const program = (name: string, text: string): void => writeFileSync(at(`bin/${name}`), `#!/bin/sh\n${text}\n`, { mode: 0o700 });
  program(
    'blkid',
    `case $* in
      *PART_ENTRY_UUID*) for last; do :; done; grep "^$last " ${at('disks')} | sed 's/.* //' ;;
      *PARTUUID=*) grep " \${6#*=}$" ${at('disks')} | sed 's/ .*//' ;;
      *PARTLABEL=*) grep " \${6#*=} " ${at('disks')} | sed 's/ .*//' ;;
    esac`,
  );
  program('sfdisk', `sed -i "s#${IMAGE_ID}#$5#" ${at('disks')}; echo "$@" > ${at('changed')}`);
  program('udevadm', ':');
  // A disk that is slow comes while the script sleeps.
  program('sleep', late.map((one) => `echo ${one.join(' ')} >> ${at('disks')}`).join('\n'));
  const script = SCRIPT.replaceAll('/sbin/', '')
    .replaceAll('/proc/', at('proc/'))
    .replaceAll('/run/', at('run/'))
    .replaceAll('readlink -f "/sys/class/block/${1##*/}/.."', 'echo sda');
  writeFileSync(at('script'), `${script}\npanic() { echo "$1"; exit 0; }\nown_partition a\n`);
  const said = execFileSync('sh', [at('script')], { env: { PATH: `${at('bin')}:${process.env['PATH'] ?? ''}` }, encoding: 'utf8' });
  const file = at('run/rsio-appliance/partitions');
  return said + (existsSync(file) ? readFileSync(file, 'utf8') : '');
}

const own = ['/dev/sda3', 'rsio-a', RANDOM_ID] as const;

test('a partition of another disk with the same name is ignored', () => {
  const client = ['/dev/sdb1', 'rsio-a', OTHER_ID] as const;
  expect(found(`rsio.slot=a rsio.boot=x rsio.a=${RANDOM_ID} quiet`, [client, own])).toBe(`a=${RANDOM_ID}\n`);
});

test('an id of the image is replaced by a random one', () => {
  expect(found(`rsio.a=${IMAGE_ID}`, [['/dev/sda3', 'rsio-a', IMAGE_ID]])).toBe(`a=${RANDOM_ID}\n`);
  expect(readFileSync(`${scene.root}/changed`, 'utf8')).toBe(`--quiet --part-uuid /dev/sda 3 ${RANDOM_ID}\n`);
});

test('nothing is guessed', () => {
  expect(found(`rsio.a=${RANDOM_ID}`, [['/dev/sdb1', 'rsio-a', OTHER_ID]])).toContain(`there is no partition with PARTUUID=${RANDOM_ID}`);
  const copies = found(`rsio.a=${RANDOM_ID}`, [own, ['/dev/sdb3', 'rsio-a', RANDOM_ID]]);
  expect(copies).toContain(`the partitions /dev/sda3 /dev/sdb3 all have PARTUUID=${RANDOM_ID}`);
});

test('without an id from the boot loader, a name counts if it is there once', () => {
  expect(found('rsio.slot=a', [own])).toBe(`a=${RANDOM_ID}\n`);
  const names = found('rsio.slot=a', [own, ['/dev/sdb1', 'rsio-a', OTHER_ID]]);
  expect(names).toContain('the partitions /dev/sda3 /dev/sdb1 all have PARTLABEL=rsio-a');
});

test('a name that a client has written first does not count when the own disk comes later', () => {
  const client = ['/dev/sdb1', 'rsio-a', OTHER_ID] as const;
  expect(found('rsio.slot=a', [client], [own])).toContain('the partitions /dev/sdb1 /dev/sda3 all have PARTLABEL=rsio-a');
  const image = found(`rsio.a=${IMAGE_ID}`, [['/dev/sdb1', 'x', IMAGE_ID]], [['/dev/sda3', 'rsio-a', IMAGE_ID]]);
  expect(image).toContain(`the partitions /dev/sdb1 /dev/sda3 all have PARTUUID=${IMAGE_ID}`);
  expect(existsSync(`${scene.root}/changed`)).toBe(false);
});

test('an id of the image on a partition that only its name has found is not changed', () => {
  expect(found('rsio.slot=a', [['/dev/sdb1', 'rsio-a', IMAGE_ID]])).toBe(`a=${IMAGE_ID}\n`);
  expect(existsSync(`${scene.root}/changed`)).toBe(false);
});
